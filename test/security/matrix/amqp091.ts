import { expect } from "vitest";
import { AmqpWire } from "../../support/amqp091-wire.ts";
import {
  type Attempt,
  dotted,
  makeExchange,
  makeQueue,
  makeTopic,
  type Operation,
  REFUSAL,
  type Speaker,
} from "./operation.ts";

type Act = (client: AmqpWire, attempt: Attempt) => Promise<unknown>;

async function loggedIn({ who, dial }: Attempt): Promise<AmqpWire> {
  const client = await AmqpWire.greeted(await dial());
  await client.send(0, "connection.start-ok", {
    clientProperties: new Map([["connection_name", who.clientId]]),
    mechanism: "PLAIN",
    response: Buffer.from(`\0${who.user}\0secret`),
    locale: "en_US",
  });
  await client.expect("connection.tune");
  await client.send(0, "connection.tune-ok", { channelMax: 10, frameMax: 131_072, heartbeat: 0 });
  await client.send(0, "connection.open", { virtualHost: "/" });
  return client;
}

/** docs/access.md: connection.close 530 when it connects, as RabbitMQ has it. */
async function refusedConnection(client: AmqpWire): Promise<string | undefined> {
  const frame = await client.peek();
  if (frame.type === "method" && frame.method.name === "connection.open-ok") {
    await client.next();
    return undefined;
  }
  return closing(await client.expect("connection.close", 0), "NOT_ALLOWED", 530);
}

/** docs/access.md: channel.close 403 ACCESS_REFUSED; other channels go on. */
async function refusedChannel(client: AmqpWire): Promise<string> {
  const text = closing(await client.expect("channel.close", 1));
  await client.say("channel.close-ok");
  await client.openChannel(2);
  return text;
}

function closing(
  { replyCode, replyText }: { readonly replyCode: number; readonly replyText: string },
  reply = "ACCESS_REFUSED",
  code = 403,
): string {
  expect(replyCode).toBe(code);
  expect(replyText).toMatch(new RegExp(`^${reply} - `));
  // A text is cut after 255 bytes.
  expect(replyText).toMatch(replyText.length < 250 ? REFUSAL : /User \w+ may /);
  return replyText;
}

function doing(what: string, about: Pick<Operation, "action" | "kind" | "prepare">, act: Act): Operation {
  return {
    what,
    name: dotted,
    ...about,
    attempt: async (attempt) => {
      using client = await loggedIn(attempt);
      if ((await refusedConnection(client)) !== undefined) throw new Error("The connection was refused");
      await client.openChannel(1);
      await act(client, attempt);
      // Answered once all that was said before is done.
      await client.say("basic.qos", {});
      for (;;) {
        const frame = await client.peek();
        if (frame.type === "method" && frame.method.name === "channel.close") return await refusedChannel(client);
        await client.next();
        if (frame.type === "method" && frame.method.name === "basic.qos-ok") return undefined;
      }
    },
  };
}

function publish(exchange: string): Act {
  return (client, { name }) => client.publish(exchange, name, "x");
}

const QUEUE = { kind: "queue", prepare: makeQueue } as const;
const TOPIC = { kind: "topic", prepare: makeTopic } as const;
const EXCHANGE = { kind: "exchange", prepare: makeExchange } as const;

/** A queue of its own to bind, and an exchange. */
async function own(client: AmqpWire, token: string): Promise<void> {
  await client.declare(`own-${token}`, { exclusive: true });
  await client.ask(1, "exchange.declare", { exchange: `own-${token}`, type: "fanout" }, "exchange.declare-ok");
}

const CONNECT = (["virtual-host", "connector"] as const).map(
  (kind): Operation => ({
    what: `connect to the ${kind}`,
    action: "connect",
    kind,
    fixed: true,
    name: () => (kind === "connector" ? "*" : "default"),
    attempt: async (attempt) => {
      using client = await loggedIn(attempt);
      return await refusedConnection(client);
    },
  }),
);

/** What can be done over AMQP 0-9-1. */
export const AMQP_091: Speaker = {
  protocol: "AMQP 0-9-1",
  operations: [
    ...CONNECT,
    doing("send to a queue", { action: "send", ...QUEUE }, publish("")),
    doing("send to a topic", { action: "send", ...TOPIC }, publish("amq.topic")),
    doing("send to an exchange", { action: "send", ...EXCHANGE }, (client, { name }) => client.publish(name, "k", "x")),
    doing("send a copy by CC", { action: "send", ...QUEUE }, (client, { name }) =>
      client.publish("", "other", "x", { headers: new Map([["CC", [name]]]) }),
    ),
    doing("send a copy by BCC", { action: "send", ...QUEUE }, (client, { name }) =>
      client.publish("", "other", "x", { headers: new Map([["BCC", [name]]]) }),
    ),
    doing("answer to a topic", { action: "send", ...TOPIC }, (client, { name }) =>
      client.publish("", `/topic/${name}`, "x"),
    ),
    doing("make a topic", { action: "create", kind: "topic" }, publish("amq.topic")),
    doing("declare a queue", { action: "create", kind: "queue" }, (client, { name }) =>
      client.say("queue.declare", { queue: name }),
    ),
    doing("declare a queue for itself", { action: "create", kind: "queue" }, (client, { name }) =>
      client.say("queue.declare", { queue: name, exclusive: true }),
    ),
    doing("declare an exchange", { action: "create", kind: "exchange" }, (client, { name }) =>
      client.say("exchange.declare", { exchange: name }),
    ),
    doing("delete a queue", { action: "destroy", ...QUEUE }, (client, { name }) =>
      client.say("queue.delete", { queue: name }),
    ),
    doing("delete an exchange", { action: "destroy", ...EXCHANGE }, (client, { name }) =>
      client.say("exchange.delete", { exchange: name }),
    ),
    doing("consume from a queue", { action: "consume", ...QUEUE }, (client, { name }) =>
      client.say("basic.consume", { queue: name }),
    ),
    doing("get from a queue", { action: "consume", ...QUEUE }, (client, { name }) =>
      client.say("basic.get", { queue: name }),
    ),
    doing("purge a queue", { action: "consume", ...QUEUE }, (client, { name }) =>
      client.say("queue.purge", { queue: name }),
    ),
    doing("bind a queue", { action: "send", ...QUEUE }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("queue.bind", { queue: name, exchange: `own-${token}` });
    }),
    doing("bind to an exchange", { action: "receive", ...EXCHANGE }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("queue.bind", { queue: `own-${token}`, exchange: name });
    }),
    doing("bind an exchange", { action: "send", ...EXCHANGE }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("exchange.bind", { destination: name, source: `own-${token}` });
    }),
    doing("bind an exchange to one", { action: "receive", ...EXCHANGE }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("exchange.bind", { destination: `own-${token}`, source: name });
    }),
    doing("bind to a topic", { action: "receive", ...TOPIC }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("queue.bind", { queue: `own-${token}`, exchange: "amq.topic", routingKey: name });
    }),
    doing("take a binding back", { action: "receive", ...TOPIC }, async (client, { name, token }) => {
      await own(client, token);
      await client.say("queue.unbind", { queue: `own-${token}`, exchange: "amq.topic", routingKey: name });
    }),
    doing("have dead letters go to a queue", { action: "send", ...QUEUE }, (client, { name, token }) =>
      client.say("queue.declare", {
        queue: `own-${token}`,
        arguments: new Map([
          ["x-dead-letter-exchange", ""],
          ["x-dead-letter-routing-key", name],
        ]),
      }),
    ),
    doing("have dead letters go to an exchange", { action: "send", ...EXCHANGE }, (client, { name, token }) =>
      client.say("queue.declare", { queue: `own-${token}`, arguments: new Map([["x-dead-letter-exchange", name]]) }),
    ),
    doing("have an alternate exchange", { action: "send", ...EXCHANGE }, (client, { name, token }) =>
      client.say("exchange.declare", { exchange: `own-${token}`, arguments: new Map([["alternate-exchange", name]]) }),
    ),
  ],
};
