import { expect } from "vitest";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { eventually } from "../../support/eventually.ts";
import { type ConnectOptions, type MqttVersion, MqttWire } from "../../support/mqtt-wire.ts";
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

const NOT_AUTHORIZED = 0x87;

async function connected(
  { who, dial }: Attempt,
  version: MqttVersion,
  options: ConnectOptions = {},
): Promise<MqttWire> {
  const client = await MqttWire.open(await dial(), version);
  await client.sendConnect({ username: who.user, password: "secret", clientId: who.clientId, ...options });
  return client;
}

/** docs/access.md: CONNACK 0x87 and CONNACK 5, and the end. */
async function refusedConnection(client: MqttWire): Promise<string | undefined> {
  const { reasonCode, returnCode, properties } = await client.expect("connack");
  const code = client.version === 5 ? reasonCode : returnCode;
  if (code === 0) return undefined;
  expect(code).toBe(client.version === 5 ? NOT_AUTHORIZED : 5);
  if (client.version === 5) expect(properties?.reasonString).toMatch(REFUSAL);
  client.wire.finish();
  await client.wire.closed();
  return `CONNACK ${code}`;
}

function topic(name: string): string {
  return name.replaceAll(".", "/");
}

/** Messages that were let in to something. */
function received(host: VirtualHost, kind: "queue" | "topic" | "exchange", name: string): number {
  if (kind === "exchange") return host.exchanges.find(name)?.ledger.received ?? 0;
  return (kind === "queue" ? host.queues.get(name) : host.topics.get(name))?.ledger.received ?? 0;
}

function publishing(
  version: MqttVersion,
  what: string,
  about: Pick<Operation, "action" | "prepare"> & { readonly kind: "queue" | "topic" | "exchange" },
  spell: (name: string) => string,
  retain = false,
): Operation {
  return {
    what,
    name: dotted,
    ...about,
    attempt: async (attempt) => {
      using client = await connected(attempt, version);
      if ((await refusedConnection(client)) !== undefined) throw new Error("The connection was refused");
      const id = await client.sendPublish(spell(attempt.name), "x", { qos: 1, retain });
      const { reasonCode = 0, messageId } = await client.expect("puback");
      expect(messageId).toBe(id);
      // The connection goes on, whatever became of the message.
      await client.nothing();
      const count = received(attempt.host, about.kind, attempt.name);
      if (retain) expect(attempt.host.retained.count).toBe(count);
      if (version === 5) expect(reasonCode === NOT_AUTHORIZED).toBe(count === 0);
      else expect(reasonCode).toBe(0);
      return count === 0 ? `PUBACK ${reasonCode}` : undefined;
    },
  };
}

function subscribing(
  version: MqttVersion,
  what: string,
  about: Pick<Operation, "action" | "kind" | "prepare">,
  spell: (name: string) => string,
): Operation {
  return {
    what,
    name: dotted,
    ...about,
    attempt: async (attempt) => {
      using client = await connected(attempt, version);
      if ((await refusedConnection(client)) !== undefined) throw new Error("The connection was refused");
      const [code = 0] = await client.subscribe(spell(attempt.name), { qos: 1 });
      await client.nothing();
      if (code === 1) return undefined;
      expect(code).toBe(version === 5 ? NOT_AUTHORIZED : 0x80);
      return `SUBACK ${code}`;
    },
  };
}

function keeping(version: MqttVersion, action: "consume" | "create"): Operation {
  return {
    what: `${action} a session that is kept`,
    action,
    kind: "dsub",
    name: (token, leaf) => `mqtt/${token}.${leaf}`,
    byClientId: true,
    attempt: async (attempt) => {
      const clientId = `${attempt.token}.${attempt.leaf}`;
      const kept = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : { clean: false };
      using client = await connected(attempt, version, { clientId, ...kept });
      return await refusedConnection(client);
    },
  };
}

function will(version: MqttVersion): Operation {
  return {
    what: "leave a will",
    action: "send",
    kind: "topic",
    name: dotted,
    prepare: makeTopic,
    attempt: async (attempt) => {
      const { wills } = attempt.host;
      const before = { published: wills.published, refused: wills.refused };
      const message = { topic: topic(attempt.name), payload: Buffer.from("x"), qos: 0 as const, retain: false };
      using client = await connected(attempt, version, { will: message });
      expect(await refusedConnection(client)).toBeUndefined();
      await client.vanish();
      await eventually(() => expect(wills.published + wills.refused).toBe(before.published + before.refused + 1));
      return wills.refused > before.refused ? "the will was refused" : undefined;
    },
  };
}

function operations(version: MqttVersion): Operation[] {
  const connecting = (["virtual-host", "connector"] as const).map(
    (kind): Operation => ({
      what: `connect to the ${kind}`,
      action: "connect",
      kind,
      fixed: true,
      name: () => (kind === "connector" ? "*" : "default"),
      attempt: async (attempt) => {
        using client = await connected(attempt, version);
        return await refusedConnection(client);
      },
    }),
  );
  const queue = (name: string): string => `$queue/${topic(name)}`;
  return [
    ...connecting,
    publishing(version, "send to a topic", { action: "send", kind: "topic", prepare: makeTopic }, topic),
    publishing(version, "have a topic retain", { action: "send", kind: "topic", prepare: makeTopic }, topic),
    publishing(version, "send to a queue", { action: "send", kind: "queue", prepare: makeQueue }, queue),
    publishing(
      version,
      "send to an exchange",
      { action: "send", kind: "exchange", prepare: makeExchange },
      (name) => `$exchange/${name}/k`,
    ),
    publishing(version, "make a topic", { action: "create", kind: "topic" }, topic),
    publishing(version, "make a queue", { action: "create", kind: "queue" }, queue),
    will(version),
    subscribing(version, "subscribe to a topic", { action: "receive", kind: "topic", prepare: makeTopic }, topic),
    subscribing(
      version,
      "share a topic",
      { action: "receive", kind: "topic", prepare: makeTopic },
      (name) => `$share/g/${topic(name)}`,
    ),
    subscribing(version, "consume from a queue", { action: "consume", kind: "queue", prepare: makeQueue }, queue),
    keeping(version, "consume"),
    keeping(version, "create"),
  ];
}

/** What can be done over MQTT 3.1.1. */
export const MQTT_311: Speaker = { protocol: "MQTT 3.1.1", operations: operations(4) };
/** What can be done over MQTT 5.0. */
export const MQTT_5: Speaker = { protocol: "MQTT 5.0", operations: operations(5) };
