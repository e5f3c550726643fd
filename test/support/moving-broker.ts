import { Broker } from "../../core/broker.ts";
import { type Content, Message, TRAIT, type WireFormat } from "../../core/message.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import { systemClock } from "../../src/clock.ts";
import { LmdbStore } from "../../store/lmdb/store.ts";
import { HOST, parse, plainFormat } from "./core-broker.ts";
import { CountingRandom } from "./virtual-clock.ts";

/** A format for tests in which the body is also the id by which a repeated send is found out. */
const identified: WireFormat = {
  name: "identified",
  open: (message): Content => ({ ...plainFormat.open(message), duplicateId: message.body.toString() }),
};

/** A durable message that is known by its body. */
export function identifiedMessage(body: string): Message {
  const envelope = {
    address: parse("queue:a"),
    durable: true,
    priority: 4,
    expiresAt: 0,
    receivedAt: 0,
    traits: TRAIT.identified,
  };
  const data = Buffer.from(`\n${body}`);
  return new Message(identified, envelope, data, 0, data.length, 1, data.length);
}

/** A core over a store on disk, as in a real broker. */
export async function openBroker(directory: string): Promise<Broker> {
  const broker = new Broker({
    clock: systemClock,
    random: new CountingRandom(),
    store: new LmdbStore({
      directory,
      formats: new Map([[identified.name, identified]]),
      addresses: (name, kind) => canonical.parse(kind, name),
      clock: systemClock,
    }),
    authenticator: { login: () => Promise.resolve({ user: "tester", groups: [] }) },
    name: "delos",
    version: "test",
    hosts: [HOST],
    unknownHost: "refuse",
    memoryBytes: 64 << 20,
    failed: (cause) => {
      throw cause;
    },
    report: (sentence) => {
      throw new Error(sentence);
    },
  });
  await broker.open();
  return broker;
}
