/*
 * Policies over HTTP: what holds for a destination and who says so, and what somebody who declares a queue may say of it.
 */
import { type TSchema, Type } from "typebox";
import { DEFAULT_POLICY, type Policy } from "../../core/policy.ts";
import { POLICY_KEYS } from "../config/policy-keys.ts";
import { words } from "./schemas.ts";

/** What holds for a destination. */
export const PolicySettings = Type.Array(
  Type.Object({
    key: Type.String(),
    value: Type.Union([Type.String(), Type.Number(), Type.Boolean()]),
    origin: Type.String({ description: 'Who says so: "default", an entry of the configuration, or "declaration".' }),
  }),
  { description: 'What holds for it, as "delos check" explains it.' },
);

/** What only topics have, and what a declaration says in another way. */
const NOT_DECLARED: ReadonlySet<string> = new Set<keyof Policy>([
  "autoDeleteAfterMs",
  "mirrored",
  "slowSubscriber",
  "slowSubscriberDeadlineMs",
  "subscriberBytes",
]);

const WORDS: Readonly<Record<string, readonly string[]>> = {
  full: ["block", "drop-head", "drop-tail", "reject", "reject-dead-letter"],
  distribution: ["round-robin", "first-attached"],
};

/** Fields whose numbers need not be whole. */
const FRACTIONS: ReadonlySet<string> = new Set<keyof Policy>(["redeliveryMultiplier", "redeliveryJitter"]);

const DECLARED = Object.entries(POLICY_KEYS).filter(([field]) => !NOT_DECLARED.has(field));

/** What may be said of a queue that is declared. */
export const DeclaredPolicy = Type.Object(
  Object.fromEntries(DECLARED.map(([field, key]) => [key, Type.Optional(schemaOf(field))])),
  {
    additionalProperties: false,
    description:
      "What holds for the queue over what the configuration says, by the same keys; in bytes and milliseconds.",
  },
);

/** What was said, in the core's terms. */
export function declaredPolicy(said: Readonly<Record<string, unknown>>): Partial<Policy> {
  const given = DECLARED.filter(([, key]) => said[key] !== undefined);
  return Object.fromEntries(given.map(([field, key]) => [field, said[key] === "" ? undefined : said[key]]));
}

function schemaOf(field: string): TSchema {
  const allowed = WORDS[field];
  if (allowed !== undefined) return words(allowed);
  const value: unknown = Object.entries(DEFAULT_POLICY).find(([name]) => name === field)?.[1];
  if (typeof value === "boolean") return Type.Boolean();
  if (typeof value !== "number") return Type.String({ maxLength: 1024 });
  const bounds = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
  return FRACTIONS.has(field) ? Type.Number(bounds) : Type.Integer(bounds);
}
