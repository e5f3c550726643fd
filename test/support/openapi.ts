import type { TestManagement } from "./management.ts";

/** One operation of the OpenAPI document. */
export interface Operation {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  readonly right: string;
  /** The schema of the body it takes; undefined for none. */
  readonly body: Record<string, unknown> | undefined;
  /** The schemas of what it answers, by status. */
  readonly answers: ReadonlyMap<string, unknown>;
  readonly query: readonly { readonly name: string; readonly schema: Record<string, unknown> }[];
}

/** All operations that the broker says it has. */
export async function operationsOf(api: TestManagement): Promise<Operation[]> {
  const { body } = await api.get("/api/v1/openapi.json", { as: null });
  const operations: Operation[] = [];
  const schemas = record(record(record(body)["components"])["schemas"]);
  for (const [path, item] of Object.entries(record(resolved(record(body)["paths"], schemas)))) {
    for (const [method, said] of Object.entries(record(item))) {
      const operation = record(said);
      operations.push({
        method: method.toUpperCase(),
        path,
        right: String(operation["x-right"]),
        body: bodyOf(operation),
        answers: answersOf(operation),
        query: queryOf(operation),
      });
    }
  }
  return operations;
}

/** The path of an operation for these parameters; what is not among them is `a`. */
export function pathOf({ path }: Operation, parameters: Readonly<Record<string, string>> = {}): string {
  return path.replace(/\{(\w+)\}/g, (_whole, name: string) => parameters[name] ?? (name === "host" ? "default" : "a"));
}

/** An object, or an empty one for anything else. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** With what references lead to in their places. */
function resolved(value: unknown, schemas: Readonly<Record<string, unknown>>): unknown {
  if (Array.isArray(value)) return value.map((item) => resolved(item, schemas));
  if (typeof value !== "object" || value === null) return value;
  const { $ref: reference } = record(value);
  if (typeof reference === "string") {
    const name = reference.replace("#/components/schemas/", "");
    if (!(name in schemas)) throw new Error(`The document has no schema ${name}`);
    return resolved(schemas[name], schemas);
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner, schemas)]));
}

function bodyOf(operation: Record<string, unknown>): Record<string, unknown> | undefined {
  if (operation["requestBody"] === undefined) return undefined;
  const content = record(record(operation["requestBody"])["content"]);
  return record(record(content["application/json"])["schema"]);
}

function answersOf(operation: Record<string, unknown>): ReadonlyMap<string, unknown> {
  const answers = new Map<string, unknown>();
  for (const [status, answer] of Object.entries(record(operation["responses"]))) {
    answers.set(status, record(record(record(answer)["content"])["application/json"])["schema"]);
  }
  return answers;
}

function queryOf(operation: Record<string, unknown>): Operation["query"] {
  const { parameters } = operation;
  if (!Array.isArray(parameters)) return [];
  return parameters
    .map(record)
    .filter(({ in: place }) => place === "query")
    .map(({ name, schema }) => ({ name: String(name), schema: record(schema) }));
}
