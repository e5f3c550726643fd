import { Type } from "typebox";
import { ACTIONS, RESOURCE_KINDS } from "../../core/access/access.ts";
import { ANY, PRINCIPAL_KINDS } from "../../core/access/rule.ts";
import { CLOSED, names } from "./field.ts";

function words<const T extends readonly string[]>(choices: T, fallback: readonly T[number][], description: string) {
  return Type.Array(Type.Unsafe<T[number]>({ type: "string", enum: choices }), { default: fallback, description });
}

function name(description: string) {
  return Type.String({ default: "", description });
}

const accessRule = Type.Object(
  {
    allow: names('Who is allowed: names, "*" for anybody, "+" for whoever has a name of these kinds.'),
    deny: names("Who is denied, in the same way; asked before allow."),
    separator: name("What stands between several names in one text of allow and deny. Empty: nothing does."),
    principal_kind: words(
      [...PRINCIPAL_KINDS, ANY],
      ["group"],
      "What the names in allow and deny are: users, groups, addresses of clients and networks (10.0.0.0/8), or distinguished names of certificates.",
    ),
    action: words([...ACTIONS, ANY], [ANY], "What it is about doing."),
    kind: words([...RESOURCE_KINDS, ANY], [ANY], "What it is about doing that to."),
    id: name('The name of that, with wildcards: "orders.**". "%u" is the user, "%c" the client id. Empty: any name.'),
    id_regex: name("A regular expression that the whole name has to match, instead of id. Empty: any name."),
    connector: name("The listener that the client is connected to. Empty: any."),
  },
  { ...CLOSED, description: "An access rule: allow, deny or both, and what it is about." },
);

/** A list of access rules. */
export function accessRules(description: string) {
  return Type.Array(accessRule, { default: [], description });
}
