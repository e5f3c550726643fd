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
    const value = validator.Default(text ? validator.Convert(listed(schema, given)) : given);
    if (validator.Check(value)) return { value };
    const errors = validator.Errors(value).map(({ instancePath, message, params }) => ({
      path: `${httpPart}${instancePath}`,
      message: "additionalProperties" in params ? `${message}: ${String(params.additionalProperties)}` : message,
    }));
    return { error: new InvalidRequest(PARTS[httpPart] ?? httpPart, errors.slice(0, MOST_ERRORS)) };
  };
};

const MOST_ERRORS = 20;

/** A list that is given once in a query looks like a single value. */
function listed(schema: TSchema, given: unknown): unknown {
  if (typeof given !== "object" || given === null || !("properties" in schema)) return given;
  const { properties } = schema;
  if (typeof properties !== "object" || properties === null) return given;
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const wanted: unknown = Object.entries(properties).find(([key]) => key === name)?.[1];
      const list = typeof wanted === "object" && wanted !== null && "type" in wanted && wanted.type === "array";
      return [name, list && !Array.isArray(value) ? [value] : value];
    }),
  );
}
