import { Type } from "typebox";
import { makeKey, putUser, removeKey, removeUser, type ShownUser, userOf, usersOf } from "../accounts.ts";
import { callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { PageQuery, Table } from "../table.ts";

const ORIGIN = Type.Union([Type.Literal("configuration"), Type.Literal("managed")], {
  description: "What is in the configuration can only be changed there.",
});

const USERS: Table<ShownUser> = new Table<ShownUser>("User", "name", {
  name: { schema: Type.String(), read: ({ name }) => name },
  groups: { schema: Type.Array(Type.String()), read: ({ groups }) => groups },
  enabled: { schema: Type.Boolean({ description: "Whether it may log in." }), read: ({ enabled }) => enabled },
  origin: { schema: ORIGIN, read: ({ origin }) => origin },
  has_password: { schema: Type.Boolean(), read: (user) => user.has_password },
});

const Groups = Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { maxItems: 1000 });
const UserBody = Type.Object(
  {
    password: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    groups: Type.Optional(Groups),
    enabled: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, title: "UserChange" },
);
const Key = Type.Object(
  { name: Type.String(), groups: Type.Array(Type.String()), origin: ORIGIN },
  { title: "ApiKey" },
);
const NewKey = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 255 }), groups: Type.Optional(Groups) },
  { additionalProperties: false, title: "NewApiKey" },
);
const MadeKey = Type.Object(
  { name: Type.String(), key: Type.String({ description: "Told this once; the broker keeps a hash." }) },
  { title: "MadeApiKey" },
);
const UserParams = Type.Object({ user: Type.String() });
const KeyParams = Type.Object({ key: Type.String({ description: "Its name." }) });
const tags = ["users"];
const DESCRIPTION =
  "Users of files, directories and tokens are not the broker's own and not among them. Those that are made here are kept " +
  "in the store.";

/** Who may log in: users and keys that the broker itself knows. */
export function userRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/users",
    {
      config: { right: "admin broker" },
      schema: {
        tags,
        summary: "List users",
        description: DESCRIPTION,
        querystring: PageQuery,
        response: { 200: USERS.page },
      },
    },
    ({ query }) => {
      const users = usersOf(context);
      return USERS.list({ size: users.length, values: () => users }, query);
    },
  );

  app.get(
    "/users/:user",
    {
      config: { right: "admin broker" },
      schema: { tags, summary: "Look at one", params: UserParams, response: { 200: USERS.row } },
    },
    ({ params }) => USERS.show(userOf(context, params.user)),
  );

  app.put(
    "/users/:user",
    {
      config: { right: "admin broker", audit: "user.put" },
      schema: {
        tags,
        summary: "Make a user, or change one",
        description:
          "What is absent stays as it is. Connections of a user that may not log in any more are closed. Nobody gives or " +
          "changes what has a right that is not his own, unless he may configure the broker.",
        params: UserParams,
        body: UserBody,
        response: { 200: USERS.row, 201: USERS.row },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const isNew = await putUser(context, callerOf(request), params.user, body);
      reply.code(isNew ? 201 : 200);
      return USERS.show(userOf(context, params.user));
    },
  );

  app.delete(
    "/users/:user",
    {
      config: { right: "admin broker", audit: "user.delete" },
      schema: {
        tags,
        summary: "Delete a user",
        description: "Its connections are closed.",
        params: UserParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeUser(context, callerOf(request), request.params.user);
      reply.code(204);
      return null;
    },
  );

  app.get(
    "/groups",
    {
      config: { right: "admin broker" },
      schema: {
        tags,
        summary: "List the groups of users and keys",
        response: {
          200: Type.Array(
            Type.Object(
              { name: Type.String(), users: Type.Array(Type.String()), api_keys: Type.Array(Type.String()) },
              { title: "Group" },
            ),
          ),
        },
      },
    },
    () => groupsOf(context),
  );
  keyRoutes(app, context);
}

function keyRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/api-keys",
    {
      config: { right: "admin broker" },
      schema: { tags, summary: "List keys, without what they are", response: { 200: Type.Array(Key) } },
    },
    () =>
      Object.entries(context.config().management.api_keys).map(([name, settings]) => ({
        name,
        groups: [...settings.groups],
        origin: context.accounts.keys.get(name) === settings ? ("managed" as const) : ("configuration" as const),
      })),
  );

  app.post(
    "/api-keys",
    {
      config: { right: "admin broker", audit: "api-key.create" },
      schema: { tags, summary: "Make a key", body: NewKey, response: { 201: MadeKey } },
    },
    async (request, reply) => {
      const { body } = request;
      const key = await makeKey(context, callerOf(request), body.name, body.groups ?? []);
      reply.code(201);
      return { name: body.name, key };
    },
  );

  app.delete(
    "/api-keys/:key",
    {
      config: { right: "admin broker", audit: "api-key.delete" },
      schema: { tags, summary: "Delete a key", params: KeyParams, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await removeKey(context, callerOf(request), request.params.key);
      reply.code(204);
      return null;
    },
  );
}

interface Group {
  readonly name: string;
  readonly users: string[];
  readonly api_keys: string[];
}

function groupsOf(context: ManagementContext): Group[] {
  const groups = new Map<string, Group>();
  const of = (name: string): Group => {
    let group = groups.get(name);
    if (group === undefined) groups.set(name, (group = { name, users: [], api_keys: [] }));
    return group;
  };
  for (const { name, groups: names } of usersOf(context)) for (const group of names) of(group).users.push(name);
  for (const [name, { groups: names }] of Object.entries(context.config().management.api_keys)) {
    for (const group of names) of(group).api_keys.push(name);
  }
  return [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
