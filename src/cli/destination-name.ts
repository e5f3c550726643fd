import { UsageError } from "./arguments.ts";

/** What a command line calls a destination: `orders`, `queue:orders`, `topic:a.b`, `dsub:ID`. */
export interface DestinationName {
  readonly kind: "queue" | "topic" | "dsub";
  /** Canonical. */
  readonly name: string;
  /** The segments of its path behind the virtual host. */
  readonly path: readonly [segment: string, name: string];
}

const SEGMENTS = { queue: "queues", topic: "topics", dsub: "durable-subscriptions" } as const;

/** What a help text says about them. */
export const DESTINATION_HELP = `A destination is queue:NAME, topic:NAME or dsub:ID (a durable subscription), with a canonical name as in
queue:orders.eu; NAME alone is a queue.`;

/** Reads one. Throws UsageError for a kind that the command has no use for. */
export function destinationName(text: string, kinds: readonly DestinationName["kind"][]): DestinationName {
  const [, word = "queue", name = text] = /^(queue|topic|dsub):(.*)$/s.exec(text) ?? [];
  const kind = kinds.find((each) => each === word);
  if (name === "") throw new UsageError(`"${text}" has no name; expected something like ${word}:orders`);
  if (kind !== undefined) return { kind, name, path: [SEGMENTS[kind], name] };
  throw new UsageError(`"${text}" is a ${word}; expected ${kinds.map((each) => `${each}:NAME`).join(" or ")}`);
}

/** A whole number of an option, not below `least`. Throws UsageError. */
export function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${option} ${text}: expected a whole number, ${least} or more`);
}
