/** Where a setting was made. */
export type Origin =
  | { readonly kind: "default" }
  | { readonly kind: "file"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: "environment"; readonly name: string }
  | { readonly kind: "argument"; readonly key: string };

/** What an operator wrote, before anybody looked whether it makes sense; of a file, the environment or `--set`. */
export type Given =
  | { readonly kind: "map"; readonly entries: readonly GivenEntry[]; readonly origin: Origin }
  | { readonly kind: "list"; readonly items: readonly Given[]; readonly origin: Origin }
  | { readonly kind: "scalar"; readonly value: unknown; readonly origin: Origin };

/** One key with what it was given. */
export interface GivenEntry {
  readonly key: string;
  readonly keyOrigin: Origin;
  readonly value: Given;
}

/** Something wrong with what was given: one sentence without the place. */
export interface Problem {
  readonly origin: Origin;
  readonly text: string;
}

/** Names an origin for people: `conf/delos.yaml:3:1`, `environment DELOS__broker__name`, `--set broker.name`. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case "default":
      return "default";
    case "file":
      return `${origin.file}:${origin.line}:${origin.column}`;
    case "environment":
      return `environment ${origin.name}`;
    case "argument":
      return `--set ${origin.key}`;
  }
}

/** Turns plain data, such as the default in a schema, into what would have been given to get it. */
export function givenFrom(value: unknown, origin: Origin): Given {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => givenFrom(item, origin)), origin };
  if (typeof value !== "object" || value === null) return { kind: "scalar", value, origin };
  const entries = Object.entries(value).map(([key, inner]) => ({
    key,
    keyOrigin: origin,
    value: givenFrom(inner, origin),
  }));
  return { kind: "map", entries, origin };
}
