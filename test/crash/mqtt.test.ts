import { expect, it } from "vitest";
import type { Broker } from "../../core/broker.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { MqttLives } from "../support/crash-mqtt.ts";
import { Random } from "../support/crash-random.ts";

/** How often the broker is killed: DELOS_CRASHES=100 for a proof. */
const KILLS = Number(process.env["DELOS_CRASHES"] ?? 8);
/** DELOS_SEED=... makes the same choices again; the instants of the kills differ all the same. */
const SEED = Number(process.env["DELOS_SEED"] ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 15_000;

/** Whether the sessions have nothing left, neither messages nor notes of their flows. */
function hasNothing({ hosts, engine }: Broker): boolean {
  const queues = [...hosts.values()].flatMap(({ durables }) => Array.from(durables.values(), ({ queue }) => queue));
  const { done } = engine.store.keys("session-state")[Symbol.iterator]().next();
  return done === true && queues.length > 0 && queues.every(({ count }) => count === 0);
}

it(
  "what MQTT clients publish at QoS 2 to a broker that is killed comes exactly once, at QoS 1 at least once, in its order",
  async () => {
    const directory = temporaryFolder();
    const lives = new MqttLives(directory, new Random(SEED));
    await lives.prepare();
    for (let life = 0; life < KILLS; life++) await lives.live();
    const broker = await startBroker(["store.kind=lmdb", `store.directory=${directory}`]);
    const wrong = await lives.finish(broker.port, () => hasNothing(broker.server.broker));
    console.log(`seed ${SEED}: ${JSON.stringify(lives.outcome)}`);
    expect(wrong.slice(0, 20), `seed ${SEED}: ${wrong.length} problems`).toEqual([]);
    await broker.stop();
    expectEvenAccounts(broker.server.broker);
    const { sentAtQos1, sentAtQos2, repeated } = lives.outcome;
    expect(Math.min(sentAtQos1, sentAtQos2)).toBeGreaterThan(KILLS);
    expect(repeated).toBeGreaterThan(0);
  },
  60_000 + KILLS * LONGEST_LIFE_MS,
);
