import { expect } from "vitest";
import { StompWire } from "../../support/stomp-wire.ts";
import {
  type Attempt,
  dotted,
  makeDurable,
  makeExchange,
  makeQueue,
  makeTopic,
  type Operation,
  REFUSAL,
  type Speaker,
} from "./operation.ts";

type Say = (client: StompWire, attempt: Attempt) => Promise<void>;

/** docs/access.md: ERROR, and the connection ends. */
async function refusalOf(client: StompWire, act: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    const text = /^(?:ERROR instead of receipt|Expected CONNECTED)[^:]*: (.*)/s.exec(String(error).slice(7))?.[1];
    if (text === undefined) throw error;
    expect(text).toMatch(REFUSAL);
    client.wire.finish();
    await client.wire.closed();
    return text;
  }
}

async function connected({ who, dial }: Attempt): Promise<StompWire> {
  const client = await StompWire.open(await dial());
  const headers = { login: who.user, passcode: "secret", "client-id": who.clientId };
  await client.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...headers });
  return client;
}

async function accepted(client: StompWire): Promise<void> {
  const { command, headers, body } = await client.next();
  if (command === "CONNECTED") return;
  expect([command, body.toString()]).toEqual(["ERROR", expect.stringMatching(/^Not allowed: /)]);
  throw new Error(`Expected CONNECTED: ${headers.get("message")}`);
}

function doing(what: string, about: Pick<Operation, "action" | "kind" | "name" | "prepare">, say: Say): Operation {
  return {
    what,
    ...about,
    attempt: async (attempt) => {
      using client = await connected(attempt);
      await accepted(client);
      return await refusalOf(client, () => say(client, attempt));
    },
  };
}

function send(prefix: string): Say {
  return (client, { name }) => client.request("SEND", { destination: `${prefix}${name}` }, "x");
}

function subscribe(prefix: string, headers: Record<string, string> = {}): Say {
  return (client, { name }) => client.request("SUBSCRIBE", { destination: `${prefix}${name}`, id: "1", ...headers });
}

const QUEUE = { kind: "queue", name: dotted, prepare: makeQueue } as const;
const TOPIC = { kind: "topic", name: dotted, prepare: makeTopic } as const;
const EXCHANGE = { kind: "exchange", name: dotted, prepare: makeExchange } as const;
const DSUB = { kind: "dsub", name: dotted, prepare: makeDurable } as const;
const attach: Say = (client, { name }) =>
  client.request("SUBSCRIBE", { destination: "/topic/kept", id: name, durable: "true" });

const CONNECT = (["virtual-host", "connector"] as const).map(
  (kind): Operation => ({
    what: `connect to the ${kind}`,
    action: "connect",
    kind,
    fixed: true,
    name: () => (kind === "connector" ? "*" : "default"),
    attempt: async (attempt) => {
      using client = await connected(attempt);
      return await refusalOf(client, () => accepted(client));
    },
  }),
);

/** What can be done over STOMP. */
export const STOMP: Speaker = {
  protocol: "STOMP",
  operations: [
    ...CONNECT,
    doing("send to a queue", { action: "send", ...QUEUE }, send("/queue/")),
    doing("send to a topic", { action: "send", ...TOPIC }, send("/topic/")),
    doing("send to several", { action: "send", ...TOPIC }, send("/queue/other,/topic/")),
    doing("have a topic retain", { action: "send", ...TOPIC }, (client, { name }) =>
      client.request("SEND", { destination: `/topic/${name}`, retain: "set" }, "x"),
    ),
    doing("send later", { action: "send", ...QUEUE }, (client, { name }) =>
      client.request("SEND", { destination: `/queue/${name}`, AMQ_SCHEDULED_DELAY: "60000" }, "x"),
    ),
    doing("send in a transaction", { action: "send", ...QUEUE }, async (client, { name }) => {
      await client.request("BEGIN", { transaction: "t" });
      await client.request("SEND", { destination: `/queue/${name}`, transaction: "t" }, "x");
      await client.request("COMMIT", { transaction: "t" });
    }),
    doing("send to an exchange", { action: "send", ...EXCHANGE }, (client, { name }) =>
      client.request("SEND", { destination: `/exchange/${name}/k` }, "x"),
    ),
    doing("make a queue by sending", { action: "create", kind: "queue", name: dotted }, send("/queue/")),
    doing("make a queue by consuming", { action: "create", kind: "queue", name: dotted }, subscribe("/queue/")),
    doing("make a topic", { action: "create", kind: "topic", name: dotted }, send("/topic/")),
    doing("subscribe to a topic", { action: "receive", ...TOPIC }, subscribe("/topic/")),
    doing("subscribe to several", { action: "receive", ...TOPIC }, subscribe("/queue/other,/topic/")),
    doing("subscribe to an exchange", { action: "receive", ...EXCHANGE }, subscribe("/exchange/")),
    doing("browse a queue", { action: "receive", ...QUEUE }, subscribe("/queue/", { browser: "true" })),
    doing("browse a durable subscription", { action: "receive", ...DSUB }, subscribe("/dsub/", { browser: "true" })),
    doing("consume from a queue", { action: "consume", ...QUEUE }, subscribe("/queue/")),
    doing("consume from a durable subscription", { action: "consume", ...DSUB }, attach),
    doing("consume by its name", { action: "consume", ...DSUB }, subscribe("/dsub/")),
    doing("make a durable subscription", { action: "create", kind: "dsub", name: dotted }, attach),
    doing("end a durable subscription", { action: "destroy", ...DSUB }, (client, { name }) =>
      client.request("UNSUBSCRIBE", { id: name, durable: "true" }),
    ),
  ],
};
