import type { Principal, Subject } from "./access.ts";

/** What the store keeps of a subject, to be a part of some JSON. */
export function subjectRecord({ user, groups, principals, listener, clientId }: Subject): object {
  return { user, groups, principals, listener, clientId };
}

/** Whether rules cannot tell two subjects apart. */
export function isSameSubject(one: Subject, other: Subject): boolean {
  return one === other || JSON.stringify(subjectRecord(one)) === JSON.stringify(subjectRecord(other));
}

/** Reads what `subjectRecord` gave; undefined for anything else. */
export function readSubject(value: unknown): Subject | undefined {
  if (!isRecord(value) || !Array.isArray(value.groups) || !Array.isArray(value.principals)) return undefined;
  const principals: unknown[] = value.principals;
  return {
    user: textOf(value.user),
    groups: value.groups.filter((group) => typeof group === "string"),
    principals: principals.filter(isPrincipal),
    listener: textOf(value.listener),
    clientId: textOf(value.clientId),
  };
}

function isPrincipal(value: unknown): value is Principal {
  return (
    isRecord(value) && (value.kind === "address" || value.kind === "certificate") && typeof value.name === "string"
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
