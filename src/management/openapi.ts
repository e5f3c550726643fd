import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import { ProblemSchema } from "./problem.ts";

/** How the OpenAPI document is made from the schemas of the routes. */
export function openApi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Delos management",
        version,
        description:
          "Names in paths are percent-encoded. Lists come in pages: f chooses fields, q filters, o orders, p and ps page. " +
          "What fails is told as application/problem+json. A session's requests that change something need its token in " +
          "the header X-CSRF-Token. x-right says what right a route needs.",
      },
      components: {
        securitySchemes: {
          password: { type: "http", scheme: "basic" },
          token: { type: "http", scheme: "bearer", description: "A key of management.api_keys, or a token." },
          session: { type: "apiKey", in: "cookie", name: "delos_session" },
        },
      },
      security: [{ password: [] }, { token: [] }, { session: [] }],
    },
    transform: ({ schema, url, route }) => {
      const right = route.config?.right;
      const described = {
        ...schema,
        operationId: operationId(String(route.method), url),
        ...(right === "none" ? { security: [] } : {}),
        "x-right": right,
        response: { ...record(schema?.response), default: FAILED },
      };
      return { schema: described, url };
    },
  };
}

const FAILED = {
  description: "It did not come to that, for the reason given.",
  content: { "application/problem+json": { schema: ProblemSchema } },
};

/** `getHostsQueuesQueue` for `GET /api/v1/hosts/:host/queues/:queue`. */
function operationId(method: string, url: string): string {
  const words = url.replace(/^\/api\/v1\//, "").match(/[A-Za-z0-9]+/g) ?? [];
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

/**
 * The document as it is served: schemas with a title stand once, under its name, and what has a default need not be said in
 * a request.
 */
export function finished(document: unknown): Record<string, unknown> {
  const schemas: Record<string, unknown> = {};
  const { components, ...rest } = record(document);
  const paths = shared(rest["paths"], schemas, false);
  return { ...rest, paths, components: { ...record(components), schemas } };
}

function shared(value: unknown, schemas: Record<string, unknown>, asked: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => shared(item, schemas, asked));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    key,
    shared(inner, schemas, asked || key === "requestBody"),
  ]);
  const copy: Record<string, unknown> = Object.fromEntries(entries);
  if (asked && Array.isArray(copy["required"])) {
    const properties = record(copy["properties"]);
    copy["required"] = copy["required"].filter((name) => !("default" in record(properties[String(name)])));
  }
  const { title } = copy;
  if (typeof title !== "string" || !("type" in copy)) return copy;
  schemas[title] ??= copy;
  return { $ref: `#/components/schemas/${title}` };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
