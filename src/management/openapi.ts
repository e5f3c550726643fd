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
          "Names in paths are percent-encoded. Lists come in pages. What fails is told as application/problem+json.",
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
        ...(right === "none" ? { security: [] } : {}),
        "x-right": right,
        response: { ...responsesOf(schema), default: FAILED },
      };
      return { schema: described, url };
    },
  };
}

const FAILED = {
  description: "It did not come to that, for the reason given.",
  content: { "application/problem+json": { schema: ProblemSchema } },
};

function responsesOf(schema: { readonly response?: unknown } | undefined): object {
  const response = schema?.response;
  return typeof response === "object" && response !== null ? response : {};
}
