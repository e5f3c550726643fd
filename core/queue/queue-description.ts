import type { Subject } from "../access/access.ts";
import { readSubject, subjectRecord } from "../access/subject-record.ts";
import { BrokerError } from "../errors.ts";
import type { Pattern } from "../addresses/pattern.ts";
import { compileSelector, type Selector } from "../selector/selector.ts";
import { canonical } from "../addresses/spelling.ts";

/** What a stored queue is, so that it can be built again. */
export type QueueDescription =
  | {
      readonly kind: "queue";
      readonly host: string;
      /** Of the messages in this part of the queue: the store keeps one part for each priority. */
      readonly priority: number;
      readonly levels: readonly string[];
    }
  | {
      readonly kind: "durable";
      readonly host: string;
      readonly priority: number;
      readonly id: string;
      readonly patterns: readonly Pattern[];
      readonly selector: Selector | undefined;
      /** Whose rights decide what it gathers; undefined if nobody knows any more. */
      readonly owner?: Subject | undefined;
    }
  /** What waits for a session. */
  | { readonly kind: "session"; readonly host: string; readonly priority: number; readonly id: string }
  /** What sessions of one group share. */
  | {
      readonly kind: "share";
      readonly host: string;
      readonly priority: number;
      readonly group: string;
      readonly pattern: Pattern;
    }
  /** Of no use after a restart. */
  | { readonly kind: "temporary"; readonly host: string };

/** The priority of messages whose senders say nothing. */
export const ORDINARY = 4;

/** The text that the store keeps: JSON with patterns and selector in canonical spelling. */
export function describeQueue(description: QueueDescription): string {
  if (description.kind === "temporary") return JSON.stringify(description);
  const { kind, host } = description;
  const priority = description.priority === ORDINARY ? undefined : description.priority;
  if (description.kind === "queue") return JSON.stringify({ kind, host, priority, levels: description.levels });
  if (description.kind === "session") return JSON.stringify({ kind, host, priority, id: description.id });
  if (description.kind === "share") {
    const { group, pattern } = description;
    return JSON.stringify({ kind, host, priority, group, pattern: pattern.text });
  }
  const { id, patterns, selector, owner } = description;
  return JSON.stringify({
    kind,
    host,
    priority,
    id,
    patterns: patterns.map((pattern) => pattern.text),
    selector: selector?.text,
    owner: owner === undefined ? undefined : subjectRecord(owner),
  });
}

/** Reads what `describeQueue` wrote. Throws BrokerError("internal") on anything else. */
export function readQueueDescription(text: string): QueueDescription {
  const read: unknown = JSON.parse(text);
  if (!isRecord(read) || typeof read.host !== "string") throw unreadable(text);
  const { kind, host } = read;
  if (kind === "temporary") return { kind, host };
  const priority = typeof read.priority === "number" ? read.priority : ORDINARY;
  if (kind === "queue" && isTexts(read.levels)) return { kind, host, priority, levels: read.levels };
  if (kind === "session" && typeof read.id === "string") return { kind, host, priority, id: read.id };
  if (kind === "share" && typeof read.group === "string" && typeof read.pattern === "string") {
    return { kind, host, priority, group: read.group, pattern: canonical.parsePattern("topic", read.pattern) };
  }
  if (kind === "durable" && typeof read.id === "string" && isTexts(read.patterns)) {
    const patterns = read.patterns.map((pattern) => canonical.parsePattern("topic", pattern));
    const selector = typeof read.selector === "string" ? compileSelector(read.selector) : undefined;
    return { kind, host, priority, id: read.id, patterns, selector, owner: readSubject(read.owner) };
  }
  throw unreadable(text);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function unreadable(text: string): BrokerError {
  return new BrokerError("internal", `The store describes a queue in a way this version does not know: ${text}`);
}
