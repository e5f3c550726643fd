import { Compile } from "typebox/compile";
import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { bulkOf } from "./bulk.ts";
import { InvalidRequest } from "./problem.ts";

const PARTS: Readonly<Record<string, string>> = {
  body: "The body",
  querystring: "The query",
  params: "The path",
  headers: "The headers",
};

/**
 * Checks requests against the schemas of their routes. What comes as text, in a path or a query, becomes a number or a
 * list where the schema wants one; in a body every value must have its type already.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = "body" }) => {
  const validator = Compile(schema);
  const text = httpPart !== "body";
  return (given: unknown) => {
    const bulk = bulkOf(schema, given, httpPart);
    if (bulk !== undefined) return { error: new InvalidRequest(PARTS[httpPart] ?? httpPart, [bulk]) };
    const value = validator.Default(text ? read(schema, given) : given);
    if (validator.Check(value)) return { value };
    const errors = validator.Errors(value).map(({ instancePath, message, params }) => ({
      path: `${httpPart}${instancePath}`,
      message: "additionalProperties" in params ? `${message}: ${String(params.additionalProperties)}` : message,
    }));
    return { error: new InvalidRequest(PARTS[httpPart] ?? httpPart, errors.slice(0, MOST_ERRORS)) };
  };
};

const MOST_ERRORS = 20;

/** What comes as texts, by what its schema wants: a list that is given once looks like a single value, and all is text. */
function read(schema: TSchema, given: unknown): unknown {
  if (typeof given !== "object" || given === null || !("properties" in schema)) return given;
  const { properties } = schema;
  if (typeof properties !== "object" || properties === null) return given;
  const schemas: Readonly<Record<string, unknown>> = { ...properties };
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      Object.hasOwn(schemas, name) ? fromText(schemas[name], value) : value,
    ]),
  );
}

/** What does not look like what is wanted stays a text, and is refused as that. */
function fromText(schema: unknown, value: unknown): unknown {
  if (typeof schema !== "object" || schema === null || !("type" in schema)) return value;
  const { type } = schema;
  if (type === "array") {
    const items = "items" in schema ? schema.items : undefined;
    return (Array.isArray(value) ? value : [value]).map((item: unknown) => fromText(items, item));
  }
  if (typeof value !== "string") return value;
  if (type === "boolean") return value === "true" ? true : value === "false" ? false : value;
  if ((type !== "integer" && type !== "number") || !NUMBER.test(value)) return value;
  const number = Number(value);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? value : number;
}

const NUMBER = /^-?[0-9]+(\.[0-9]+)?$/;
