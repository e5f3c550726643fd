import { expect } from "vitest";
import { Amqp10Wire, messageBytes } from "../../support/amqp10-wire.ts";
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

type Act = (client: Amqp10Wire, attempt: Attempt) => Promise<string | undefined>;

async function loggedIn({ who, dial }: Attempt, containerId = who.clientId): Promise<Amqp10Wire> {
  const client = await Amqp10Wire.open(await dial());
  await client.header(3);
  await client.expect("sasl-mechanisms");
  const initialResponse = Buffer.from(`\0${who.user}\0secret`);
  await client.say({ type: "sasl-init", mechanism: "PLAIN", initialResponse });
  expect((await client.expect("sasl-outcome")).performative.code).toBe(0);
  await client.header(0);
  await client.say({ type: "open", containerId });
  await client.expect("open");
  return client;
}

/** docs/access.md: close with amqp:unauthorized-access if it may not connect. */
async function refusedConnection(client: Amqp10Wire): Promise<string | undefined> {
  await client.say({ type: "begin", nextOutgoingId: 0, incomingWindow: 1000, outgoingWindow: 1000 });
  const { performative } = await client.next();
  if (performative.type === "begin") return undefined;
  return told(performative.type === "close" ? performative.error : undefined);
}

/** docs/access.md: detach with amqp:unauthorized-access; the session goes on. */
async function refusedLink(client: Amqp10Wire): Promise<string | undefined> {
  const windows = { nextIncomingId: 0, incomingWindow: 1000, nextOutgoingId: 0, outgoingWindow: 1000 };
  await client.say({ type: "flow", ...windows, echo: true });
  let refusal: string | undefined = undefined;
  for (;;) {
    const { performative } = await client.next();
    if (performative.type === "detach" && performative.error !== undefined) refusal = told(performative.error);
    // The answer to the flow of the session, and not the credit of a link.
    else if (performative.type === "flow" && performative.handle === undefined) return refusal;
    else if (performative.type !== "flow") throw new Error(`Unexpected ${performative.type}`);
  }
}

function told(error: { readonly condition?: unknown; readonly description?: unknown } | undefined): string {
  expect(error).toMatchObject({ condition: "amqp:unauthorized-access", description: expect.stringMatching(REFUSAL) });
  return String(error?.description);
}

function doing(
  what: string,
  about: Pick<Operation, "action" | "kind" | "prepare"> & Partial<Operation>,
  act: Act,
  containerOf: (attempt: Attempt) => string = ({ who }) => who.clientId,
): Operation {
  return {
    what,
    name: dotted,
    ...about,
    attempt: async (attempt) => {
      using client = await loggedIn(attempt, containerOf(attempt));
      if ((await refusedConnection(client)) !== undefined) throw new Error("The connection was refused");
      return await act(client, attempt);
    },
  };
}

function sender(prefix: string, suffix = ""): Act {
  return async (client, { name }) => {
    await client.sender(`${prefix}${name}${suffix}`);
    return refusedLink(client);
  };
}

function receiver(prefix: string, source: object = {}): Act {
  return async (client, { name }) => {
    const address = `${prefix}${name}`;
    await client.receiver(address, 0, { source: { type: "source", address, ...source } });
    return refusedLink(client);
  };
}

/** A message that says where it goes. */
function addressed(to: string): Buffer {
  const properties = Buffer.from([0x00, 0x53, 0x73, 0xc0, to.length + 5, 3, 0x40, 0x40, 0xa1, to.length]);
  return Buffer.concat([properties, Buffer.from(to), messageBytes("x")]);
}

/** docs/access.md: a transfer is rejected with it. */
const relay: Act = async (client, { name }) => {
  await client.sender(undefined);
  await client.transfer(addressed(`queue://${name}`));
  const { state } = (await client.expect("disposition")).performative;
  await client.nothing();
  return state?.type === "rejected" ? told(state.error) : undefined;
};

const attachDurable: Act = async (client, { leaf }) => {
  const source = { type: "source", address: "topic://kept", durable: 2, expiryPolicy: "never" } as const;
  await client.receiver("topic://kept", 0, { name: leaf, source });
  return refusedLink(client);
};

const closeDurable: Act = async (client, attempt) => {
  expect(await attachDurable(client, attempt)).toBeUndefined();
  await client.say({ type: "detach", handle: 1, closed: true });
  const { error } = (await client.expect("detach")).performative;
  await client.nothing();
  return error === undefined ? undefined : told(error);
};

const QUEUE = { kind: "queue", prepare: makeQueue } as const;
const TOPIC = { kind: "topic", prepare: makeTopic } as const;
const EXCHANGE = { kind: "exchange", prepare: makeExchange } as const;
const NEW_DSUB = {
  kind: "dsub",
  name: (token: string, leaf: string) => `amqp/${token}/${leaf}`,
  byClientId: true,
} as const;
const DSUB = { ...NEW_DSUB, prepare: makeDurable } as const;
const byToken = ({ token }: Attempt): string => token;

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

/** What can be done over AMQP 1.0. */
export const AMQP_10: Speaker = {
  protocol: "AMQP 1.0",
  operations: [
    ...CONNECT,
    doing("send to a queue", { action: "send", ...QUEUE }, sender("queue://")),
    doing("send to a topic", { action: "send", ...TOPIC }, sender("topic://")),
    doing("send to several", { action: "send", ...TOPIC }, sender("queue://other,topic://")),
    doing("send to an exchange", { action: "send", ...EXCHANGE }, sender("/exchanges/", "/k")),
    doing("send by a link for messages that say where they go", { action: "send", ...QUEUE }, relay),
    doing("make a queue by sending", { action: "create", kind: "queue" }, sender("queue://")),
    doing("make a queue by consuming", { action: "create", kind: "queue" }, receiver("queue://")),
    doing("make a topic", { action: "create", kind: "topic" }, sender("topic://")),
    doing("subscribe to a topic", { action: "receive", ...TOPIC }, receiver("topic://")),
    doing("subscribe to an exchange", { action: "receive", ...EXCHANGE }, receiver("/exchanges/")),
    doing("browse a queue", { action: "receive", ...QUEUE }, receiver("queue://", { distributionMode: "copy" })),
    doing("consume from a queue", { action: "consume", ...QUEUE }, receiver("queue://")),
    doing("consume from a durable subscription", { action: "consume", ...DSUB }, attachDurable, byToken),
    doing("make a durable subscription", { action: "create", ...NEW_DSUB }, attachDurable, byToken),
    doing("end a durable subscription", { action: "destroy", ...DSUB }, closeDurable, byToken),
  ],
};
