import { complain, EXIT, print, readOptions, UsageError } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { ManagementClient, REMOTE_HELP, REMOTE_OPTIONS } from "./management-client.ts";
import { readPassword } from "./password-input.ts";
import { rowOf, rowsOf, textOf } from "./reply.ts";
import { jsonText, printable, shown, textTable } from "./text-table.ts";

/** `delos passwd`: gives a user a password; makes the user if need be. */
export const passwd: Command = {
  help: `Usage: delos passwd USER [OPTIONS]

Gives a user of the broker a new password, which is asked for, or is the first line of standard input; a user
that is not there is made. Users of the configuration are changed there.

      --group NAME   a group of the user; may be repeated; without it groups stay as they are
      --no-password  leave the password as it is
      --enable, --disable
                     whether the user may log in
${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        ...REMOTE_OPTIONS,
        group: { type: "string", multiple: true },
        "no-password": { type: "boolean", default: false },
        enable: { type: "boolean", default: false },
        disable: { type: "boolean", default: false },
      },
      ["USER"],
    );
    const [name = ""] = positionals;
    if (values.enable && values.disable) throw new UsageError("--enable and --disable exclude each other");
    const client = await ManagementClient.open(values);
    const password = values["no-password"] ? undefined : await readPassword(`New password of ${name}: `);
    if (password === "") throw new UsageError("the new password is empty");
    const user = await client.ask("PUT", `/users/${encodeURIComponent(name)}`, {
      ...(password === undefined ? {} : { password }),
      ...(values.group === undefined ? {} : { groups: values.group }),
      ...(values.enable || values.disable ? { enabled: values.enable } : {}),
    });
    if (values.json) print(jsonText(user, 2));
    else complain(`${name} ${password === undefined ? "was changed" : "has a new password"}`);
    return EXIT.ok;
  },
};

/** `delos acl`: the access rules, or what they say of somebody. */
export const acl: Command = {
  help: `Usage: delos acl [ACTION KIND NAME] [OPTIONS]

Lists the access rules in the order in which they are asked. With an action, a kind and a name, as in
"send queue orders.eu", tells whether somebody may do that and which rule says so; exit code 1 if not.

      --as USER      who it is about
      --group NAME   a group of theirs; may be repeated
      --from ADDRESS where they come from
      --listener NAME, --client-id ID, --certificate SUBJECT
                     by what else rules may know them
${REMOTE_HELP}`,

  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        ...REMOTE_OPTIONS,
        as: { type: "string" },
        group: { type: "string", multiple: true },
        from: { type: "string" },
        listener: { type: "string" },
        "client-id": { type: "string" },
        certificate: { type: "string" },
      },
      ["ACTION", "KIND", "NAME"],
      3,
    );
    const [action, kind, name] = positionals;
    if (action !== undefined && name === undefined) throw new UsageError("expected ACTION, KIND and NAME, or none");
    const client = await ManagementClient.open(values);
    if (action === undefined) {
      const reply = rowOf(await client.ask("GET", "/access-rules"));
      if (values.json) print(jsonText(reply, 2));
      else if (reply["enforced"] === true) print(...textTable(RULE_COLUMNS, rowsOf(reply["rules"])));
      else print("There are no access rules: everybody who is let in may do everything.");
      return EXIT.ok;
    }
    const given = {
      user: values.as,
      groups: values.group,
      address: values.from,
      listener: values.listener,
      client_id: values["client-id"],
      certificate: values.certificate,
    };
    const question = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const answer = rowOf(await client.askHost("POST", ["access"], undefined, { ...question, action, kind, name }));
    print(values.json ? jsonText(answer, 2) : printable(textOf(answer["explanation"])));
    return answer["allowed"] === true ? EXIT.ok : EXIT.failed;
  },
};

const listed = (value: unknown): string => (Array.isArray(value) ? value.map(shown).join(" ") : shown(value));

const RULE_COLUMNS = [
  { title: "RULE", field: "origin" },
  { title: "HOST", field: "host" },
  { title: "ALLOW", field: "allow", show: listed },
  { title: "DENY", field: "deny", show: listed },
  { title: "ACTIONS", field: "actions", show: listed },
  { title: "KINDS", field: "kinds", show: listed },
  { title: "ID", field: "id" },
  { title: "ID REGEX", field: "id_regex" },
  { title: "LISTENER", field: "connector" },
];
