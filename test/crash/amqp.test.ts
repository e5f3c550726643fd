import { expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { Random } from "../support/crash-random.ts";
import { AmqpLives } from "./amqp-lives.ts";

/** How often the broker is killed: DELOS_CRASHES=100 for a proof. */
const KILLS = Number(process.env["DELOS_CRASHES"] ?? 8);
/** DELOS_SEED=... makes the same choices again; the instants of the kills differ all the same. */
const SEED = Number(process.env["DELOS_SEED"] ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 15_000;

it(
  "what AMQP clients sent, settled, moved and declared at a broker that is killed is there, gone, in one place and whole",
  async () => {
    const directory = temporaryFolder();
    const lives = new AmqpLives(directory, new Random(SEED));
    await lives.prepare();
    for (let life = 0; life < KILLS; life++) await lives.live();
    const broker = await startBroker(["store.kind=lmdb", `store.directory=${directory}`]);
    const wrong = await lives.finish(broker.port);
    console.log(`seed ${SEED}: ${JSON.stringify(lives.outcome)}`);
    expect(wrong.slice(0, 20), `seed ${SEED}: ${wrong.length} problems`).toEqual([]);
    await broker.stop();
    expectEvenAccounts(broker.server.broker);
    const { confirmed, settled, repeated, transactions, moved } = lives.outcome;
    expect(Math.min(confirmed, settled, transactions, moved)).toBeGreaterThan(KILLS);
    expect(repeated).toBeGreaterThan(0);
  },
  60_000 + KILLS * LONGEST_LIFE_MS,
);
