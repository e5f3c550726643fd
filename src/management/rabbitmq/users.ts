/*
 * Users and permissions, as RabbitMQ has them. Tags are groups. What somebody may do is said by the access rules of the
 * configuration: permissions show what they come to, and can only be "set" to what they are.
 */
import { Type } from "typebox";
import { permissionsOf as grantedTo, subjectOf, type Subject } from "../../../core/access/access.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { putUser, removeUser, type ShownUser, userOf, usersOf } from "../accounts.ts";
import { type Caller, callerOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { isOfRabbitHash, keptRabbitHash, parseRabbitHash } from "../../security/rabbitmq-hash.ts";
import { checkRight } from "../rights.ts";
import { gather } from "../slices.ts";
import { Body } from "./body.ts";
import { listing, ListQuery, type Row, shortList } from "./listing.ts";
import { type Asker, vhostName, vhostOf } from "./vhosts.ts";

const ALL = ".*";
const NONE = "^$";
/** The parts of a permission, with what each of them allows. */
const PARTS = { configure: "create", write: "send", read: "consume" } as const;

const PERMISSIONS = { name: ({ user }: Row) => String(user), show: (row: Row) => row };
const UserParams = Type.Object({ user: Type.String() });
const VhostParams = Type.Object({ vhost: Type.String() });
const PermissionParams = Type.Object({ vhost: Type.String(), user: Type.String() });
const read = { config: { right: "login" }, schema: { hide: true, querystring: ListQuery } } as const;

/** Users, permissions, and who one is. */
export function userRoutes(app: ManagementApp, context: ManagementContext): void {
  const users = { name: ({ name }: ShownUser) => name, show: userRow };
  const ofUser = { ...read, schema: { ...read.schema, params: UserParams } };

  app.get("/whoami", read, (request) => {
    const { user, groups } = callerOf(request).login;
    return { name: user ?? "", tags: [...groups], is_internal_user: true };
  });
  app.get("/users", read, (request) => {
    mayAdminister(context, request);
    return listing(usersOf(context), users, request.query);
  });
  app.get("/users/without-permissions", read, (request) => {
    mayAdminister(context, request);
    return gather(
      usersOf(context),
      Number.POSITIVE_INFINITY,
      (user) => permissionsOfUser(context, user).length === 0,
    ).then((without) => listing(without, users, request.query));
  });
  app.get("/users/:user", ofUser, (request) => {
    mayAdminister(context, request);
    return userRow(userOf(context, request.params.user));
  });
  app.get("/users/:user/permissions", ofUser, (request) => {
    mayAdminister(context, request);
    return shortList(permissionsOfUser(context, userOf(context, request.params.user)), request.query);
  });
  app.get("/users/:user/topic-permissions", ofUser, () => []);
  changing(app, context);
  permissions(app, context);
}

function changing(app: ManagementApp, context: ManagementContext): void {
  app.put(
    "/users/:user",
    { config: { right: "login", audit: "user.put" }, schema: { hide: true, params: UserParams } },
    async (request, reply) => {
      mayAdminister(context, request);
      const isNew = await importUser(context, callerOf(request), request.params.user, new Body(request.body));
      return reply.code(isNew ? 201 : 204).send();
    },
  );
  app.delete(
    "/users/:user",
    { config: { right: "login", audit: "user.delete" }, schema: { hide: true, params: UserParams } },
    async (request, reply) => {
      mayAdminister(context, request);
      await removeUser(context, callerOf(request), request.params.user);
      return reply.code(204).send();
    },
  );
  app.post(
    "/users/bulk-delete",
    { config: { right: "login", audit: "user.delete" }, schema: { hide: true } },
    async (request, reply) => {
      mayAdminister(context, request);
      for (const name of new Body(request.body).words("users")) await removeUser(context, callerOf(request), name);
      return reply.code(204).send();
    },
  );
}

function permissions(app: ManagementApp, context: ManagementContext): void {
  const one = { config: { right: "login" }, schema: { hide: true, params: PermissionParams } } as const;
  app.get("/permissions", read, (request) => {
    mayAdminister(context, request);
    return listing(permissionsOf(context, usersOf(context)), PERMISSIONS, request.query);
  });
  app.get("/vhosts/:vhost/permissions", { ...read, schema: { ...read.schema, params: VhostParams } }, (request) => {
    mayAdminister(context, request);
    const host = vhostOf(context, request, request.params.vhost, "admin host");
    return gather(permissionsIn(context, host, usersOf(context)), Number.POSITIVE_INFINITY).then((all) =>
      shortList(all, request.query),
    );
  });
  app.get("/permissions/:vhost/:user", one, (request) => {
    mayAdminister(context, request);
    const { vhost, user } = request.params;
    const row = permissionRow(context, vhostOf(context, request, vhost, "admin host"), userOf(context, user));
    if (row !== undefined) return row;
    throw new BrokerError("not-found", `User ${user} may not connect to virtual host ${vhost}`);
  });
  app.put(
    "/permissions/:vhost/:user",
    { ...one, config: { right: "login", audit: "permission.put" } },
    async (request, reply) => {
      mayAdminister(context, request);
      const { vhost, user } = request.params;
      checkPermission(context, vhostOf(context, request, vhost, "admin host"), user, new Body(request.body));
      return reply.code(204).send();
    },
  );
  app.delete("/permissions/:vhost/:user", { ...one, config: { right: "login", audit: "permission.delete" } }, () => {
    throw unchangeable();
  });
}

/** Makes or changes a user as RabbitMQ's tools say it; true when it is new. Throws BrokerError. */
export function importUser(context: ManagementContext, caller: Caller, name: string, body: Body): Promise<boolean> {
  // Who says nothing of them wants them to stay as they are.
  const groups = body.has("tags") ? body.words("tags") : undefined;
  if (body.has("password")) return putUser(context, caller, name, { password: body.text("password"), groups });
  const hash = body.text("password_hash", "");
  if (hash === "" || hash.startsWith("scrypt$")) return putUser(context, caller, name, { password_hash: hash, groups });
  return putUser(context, caller, name, { password_hash: rabbitHashOf(name, hash, body), groups });
}

function rabbitHashOf(name: string, hash: string, body: Body): string {
  const algorithm = body.text("hashing_algorithm", "rabbit_password_hashing_sha256");
  const kept = keptRabbitHash(algorithm, hash);
  const parsed = kept === undefined ? undefined : parseRabbitHash(kept);
  if (kept === undefined || parsed === undefined) {
    throw new BrokerError(
      "bad-request",
      `The password hash of user ${name} is none by SHA-256 or SHA-512 (hashing_algorithm ${algorithm}); give a password`,
    );
  }
  // RabbitMQ lets it in from its own machine only.
  if (name === "guest" && isOfRabbitHash("guest", parsed)) {
    throw new BrokerError("bad-request", "User guest has the password that everybody knows; give it another one");
  }
  return kept;
}

/** Throws BrokerError unless a permission is what the access rules say already. */
export function checkPermission(context: ManagementContext, host: VirtualHost, user: string, body: Body): void {
  const now = permissionRow(context, host, userOf(context, user));
  for (const part of Object.keys(PARTS)) if (now?.[part] !== body.text(part)) throw unchangeable();
}

/** As RabbitMQ shows it; never with a hash, which is a secret here. */
export function userRow({ name, groups }: ShownUser): Row {
  return { name, password_hash: "", hashing_algorithm: "", tags: [...groups], limits: {} };
}

/** What users may do in the virtual hosts that they may connect to. */
export function* permissionsOf(context: ManagementContext, users: readonly ShownUser[]): Iterable<Row> {
  for (const user of users) yield* permissionsOfUser(context, user);
}

function* permissionsIn(
  context: ManagementContext,
  host: VirtualHost,
  users: readonly ShownUser[],
): Iterable<Row | undefined> {
  for (const user of users) yield permissionRow(context, host, user);
}

function permissionsOfUser(context: ManagementContext, user: ShownUser): Row[] {
  return Array.from(context.broker.hosts.values(), (host) => permissionRow(context, host, user)).filter(
    (row) => row !== undefined,
  );
}

function permissionRow(
  context: ManagementContext,
  host: VirtualHost,
  { name: user, groups }: ShownUser,
): Row | undefined {
  const subject: Subject = { user, groups, principals: [], listener: undefined, clientId: undefined };
  const granted = grantedTo(context.broker.access, subject, host.name);
  if (!granted.decide("connect", "virtual-host", host.name).allowed) return undefined;
  const parts = Object.entries(PARTS).map(([part, action]) => {
    const { allowed, except } = granted.decide(action, "queue", "**");
    // What is allowed in part has no like; the less is the safer thing to say.
    return [part, allowed && except === undefined ? ALL : NONE];
  });
  return { user, vhost: vhostName(host), ...Object.fromEntries(parts) };
}

function mayAdminister({ broker }: ManagementContext, asker: Asker): void {
  const { login, peer } = callerOf(asker);
  checkRight(broker.access, subjectOf(login, peer), "admin broker", undefined, broker.name);
}

function unchangeable(): BrokerError {
  return new BrokerError(
    "bad-request",
    "Permissions are what the access rules of the configuration come to (access_rules); change them there",
  );
}
