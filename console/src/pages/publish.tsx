import { type Json } from "../api/json.ts";
import { ask, at, Problem } from "../api/request.ts";
import { host } from "../api/session.ts";
import { askFor } from "../ui/dialog.tsx";
import type { Filled } from "../ui/form.tsx";
import { say } from "../ui/toast.tsx";

/** Where a message goes. */
export interface Goal {
  readonly kind: "queue" | "topic" | "exchange";
  readonly name: string;
}

const ENCODINGS = [
  ["text", "Text"],
  ["json", "JSON, as a text"],
  ["structured", "JSON, as a map, a list or a value"],
  ["base64", "Bytes, as base64"],
] as const;

/** Asks for a message and publishes it; to `goal`, or wherever is filled in. */
export function openPublish(goal?: Goal, done?: () => void): void {
  askFor({
    title: goal === undefined ? "Publish a message" : `Publish to ${goal.kind} ${goal.name}`,
    fields: [
      ...(goal === undefined
        ? ([
            { name: "kind", label: "To", kind: "choice", choices: ["queue", "topic"] },
            { name: "name", label: "Name", required: true },
          ] as const)
        : []),
      ...(goal?.kind === "exchange" ? [{ name: "key", label: "Routing key", wide: true }] : []),
      { name: "body", label: "Body", kind: "area" },
      { name: "encoding", label: "The body is", kind: "choice", choices: ENCODINGS },
      { name: "content_type", label: "Content type", placeholder: "text/plain" },
      { name: "priority", label: "Priority", kind: "number", value: "4" },
      { name: "ttl_ms", label: "Expires after (ms)", kind: "number", placeholder: "never" },
      { name: "delay_ms", label: "Delivered after (ms)", kind: "number", placeholder: "at once" },
      { name: "correlation_id", label: "Correlation id" },
      { name: "group_id", label: "Message group" },
      { name: "durable", label: "Durable", kind: "check", value: "true", hint: "survives a restart" },
      ...(goal?.kind === "topic"
        ? ([{ name: "retain", label: "Retained", kind: "check", hint: "also for subscribers to come" }] as const)
        : []),
      {
        name: "properties",
        label: "Properties",
        kind: "area",
        placeholder: '{ "colour": "blue", "size": 3 }',
        hint: "A JSON object of texts, numbers and booleans",
      },
    ],
    action: "Publish",
    run: async (filled) => {
      const kind = goal?.kind ?? (filled["kind"] === "topic" ? "topic" : "queue");
      const name = goal?.name ?? filled["name"] ?? "";
      await publish({ kind, name }, messageOf(filled), filled["key"] ?? "");
      say(`Published to ${kind} ${name}`);
      done?.();
    },
  });
}

async function publish({ kind, name }: Goal, message: Json, key: string): Promise<void> {
  const path = `${at("hosts", host.value)}/${kind}s${at(name)}/messages`;
  await ask(path, { method: "POST", body: message, ...(kind === "exchange" ? { query: { key } } : {}) });
}

function messageOf(filled: Filled): Json {
  const { body = "", encoding = "text" } = filled;
  const isJson = encoding === "json" || encoding === "structured";
  return {
    body: isJson ? parsed(body, "The body") : body,
    body_encoding: encoding,
    durable: filled["durable"] === "true",
    ...(filled["retain"] === "true" ? { retain: true } : {}),
    priority: Number(filled["priority"] || 4),
    ...numbers(filled, ["ttl_ms", "delay_ms"]),
    ...given(filled, ["content_type", "correlation_id", "group_id"]),
    ...propertiesOf(filled),
  };
}

/** Properties that were filled in, if any were. Throws `Problem` for what is no JSON. */
export function propertiesOf({ properties = "" }: Filled): Readonly<Record<string, Json>> {
  return properties.trim() === "" ? {} : { properties: parsed(properties, "What is given as properties") };
}

function parsed(text: string, what: string): Json {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch (error) {
    throw new Problem(400, "bad-request", `${what} is no JSON: ${error instanceof Error ? error.message : ""}`);
  }
}

function given(filled: Filled, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => (filled[name] === undefined || filled[name] === "" ? [] : [[name, filled[name]]])),
  );
}

function numbers(filled: Filled, names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(given(filled, names)).map(([name, value]) => [name, Number(value)]));
}
