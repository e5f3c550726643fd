import { expect } from "vitest";
import { type Attempt, dotted, makeExchange, makeQueue, makeTopic, type Operation, type Speaker } from "./operation.ts";

type Request = readonly [method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: object];

function asking(
  what: string,
  about: Pick<Operation, "action" | "kind"> & Partial<Operation>,
  request: (name: string) => Request,
): Operation {
  return {
    what,
    name: dotted,
    byClientId: true,
    ...about,
    attempt: async ({ who, url, name }: Attempt) => {
      const [method, path, body] = request(name);
      const headers: Record<string, string> = {
        authorization: `Basic ${Buffer.from(`${who.user}:secret`).toString("base64")}`,
        ...(who.by === "proxy" ? { "x-forwarded-for": "10.0.0.7" } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      };
      const said = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${url}/api/v1${path}`, { method, headers, ...said });
      const text = await answer.text();
      if (answer.ok) return undefined;
      // docs/access.md: 403, code not-authorized.
      expect([answer.status, text]).toEqual([403, expect.stringContaining('"not-authorized"')]);
      expect(text).toMatch(
        /User \w+ (may not|lacks the right).*(access_rules\[\d+\] denies it|no access rule allows it)/,
      );
      return text;
    },
  };
}

const HOST = "/hosts/default";
const MESSAGE = { body: "x" };
const ON_HOST = { kind: "virtual-host", fixed: true, name: () => "default" } as const;
const ON_BROKER = { kind: "broker", fixed: true, name: () => "*" } as const;
const QUEUE = { kind: "queue", prepare: makeQueue } as const;
const TOPIC = { kind: "topic", prepare: makeTopic } as const;

/** What can be done over HTTP. */
export const HTTP: Speaker = {
  protocol: "HTTP",
  operations: [
    asking("connect to the virtual host", { action: "connect", ...ON_HOST }, () => [
      "POST",
      `${HOST}/queues/any/messages`,
      MESSAGE,
    ]),
    asking("connect to the connector", { action: "connect", kind: "connector", fixed: true, name: () => "*" }, () => [
      "POST",
      `${HOST}/queues/any/messages`,
      MESSAGE,
    ]),
    asking("look at the broker", { action: "monitor", ...ON_BROKER }, () => ["GET", "/broker"]),
    asking("change the broker", { action: "admin", ...ON_BROKER }, () => ["GET", "/access-rules"]),
    asking("configure the broker", { action: "config", ...ON_BROKER }, () => ["GET", "/configuration"]),
    asking("look at a virtual host", { action: "monitor", ...ON_HOST }, () => ["GET", `${HOST}/queues`]),
    asking("change a virtual host", { action: "admin", ...ON_HOST }, () => ["PUT", `${HOST}/queues/any`, {}]),
    asking("send to a queue", { action: "send", ...QUEUE }, (name) => [
      "POST",
      `${HOST}/queues/${name}/messages`,
      MESSAGE,
    ]),
    asking("send to a topic", { action: "send", ...TOPIC }, (name) => [
      "POST",
      `${HOST}/topics/${name}/messages`,
      MESSAGE,
    ]),
    asking("send to an exchange", { action: "send", kind: "exchange", prepare: makeExchange }, (name) => [
      "POST",
      `${HOST}/exchanges/${name}/messages`,
      MESSAGE,
    ]),
    asking("make a queue", { action: "create", kind: "queue" }, (name) => [
      "POST",
      `${HOST}/queues/${name}/messages`,
      MESSAGE,
    ]),
    asking("declare a queue", { action: "create", kind: "queue" }, (name) => ["PUT", `${HOST}/queues/${name}`, {}]),
    asking("consume from a queue", { action: "consume", ...QUEUE }, (name) => [
      "POST",
      `${HOST}/queues/${name}/consume`,
      { wait_ms: 0 },
    ]),
    asking("receive from a topic", { action: "receive", ...TOPIC }, (name) => [
      "POST",
      `${HOST}/topics/${name}/consume`,
      { wait_ms: 0 },
    ]),
  ],
};
