import type { GroupsSettings } from "../config/security-schema.ts";
import type { LoginModule, Subject, Verdict } from "./attempt.ts";
import { canonicalName } from "./names.ts";
import { parseProperties } from "./properties.ts";

/** Groups by who is in them: users, distinguished names in their canonical form, or addresses. */
export type Memberships = ReadonlyMap<string, readonly string[]>;

/** Reads Apollo's groups.properties: `group=one|another`. */
export function parseGroups(text: string, { match, separator }: GroupsSettings): Memberships {
  const groupsOf = new Map<string, string[]>();
  for (const [group, list] of parseProperties(text)) {
    for (const entry of list.split(separator)) {
      const name = match === "certificate" ? canonicalName(entry) : entry.trim();
      if (name === "") continue;
      const groups = groupsOf.get(name);
      if (groups === undefined) groupsOf.set(name, [group]);
      else groups.push(group);
    }
  }
  return groupsOf;
}

/** Groups of whoever other modules let in. */
export class GroupsModule implements LoginModule {
  private readonly memberships: () => Memberships;
  private readonly match: GroupsSettings["match"];

  constructor(memberships: () => Memberships, match: GroupsSettings["match"]) {
    this.memberships = memberships;
    this.match = match;
  }

  check(): Verdict {
    return { kind: "passed" };
  }

  complete(subject: Subject): void {
    const groupsOf = this.memberships();
    for (const name of this.namesOf(subject)) {
      for (const group of groupsOf.get(name) ?? []) subject.groups.add(group);
    }
  }

  private namesOf({ user, principals }: Subject): readonly string[] {
    const { match } = this;
    if (match === "user") return user === undefined ? [] : [user];
    const names = principals.filter(({ kind }) => kind === match).map(({ name }) => name);
    return match === "certificate" ? names.map(canonicalName) : names;
  }
}
