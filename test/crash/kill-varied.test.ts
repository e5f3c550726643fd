import { expect, it } from "vitest";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { killAgainAndAgain } from "../support/crash-lives.ts";
import { variedWorld } from "../support/crash-world.ts";

/** How often the broker is killed: DELOS_CRASHES=100 for a proof. */
const KILLS = Number(process.env["DELOS_CRASHES"] ?? 6);
/** DELOS_SEED=... makes the same choices again; the instants of the kills differ all the same. */
const SEED = Number(process.env["DELOS_SEED"] ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 15_000;

/** All that came to the queues of a broker that was just started over a directory is there, or is lost and counted. */
async function expectEvenStart(directory: string, settings: readonly string[]): Promise<void> {
  const broker = await startBroker(["store.kind=lmdb", `store.directory=${directory}`, ...settings]);
  const { broker: core } = broker.server;
  expectEvenAccounts(core);
  let stored = 0;
  for (const { queues, durables } of core.hosts.values()) {
    for (const queue of [...queues.values(), ...[...durables.values()].map((durable) => durable.queue)]) {
      expect(queue.ledger.received - queue.ledger.lostTotal, queue.subject).toBe(queue.count);
      stored += queue.count;
    }
  }
  expect(stored).toBeGreaterThan(0);
  await broker.stop();
  expectEvenAccounts(core);
}

it(
  "a broker that is killed keeps what is scheduled, diverted, sent again, dead, of a priority or of a group, and even accounts",
  async () => {
    const directory = temporaryFolder();
    const outcome = await killAgainAndAgain(directory, variedWorld(), {
      kills: KILLS,
      seed: SEED,
      afterwards: (settings) => expectEvenStart(directory, settings),
    });
    console.log(`seed ${SEED}: ${JSON.stringify(outcome)}`);
    expect(outcome.confirmedSends).toBeGreaterThan(KILLS);
    expect(outcome.confirmedAcks).toBeGreaterThan(KILLS);
    expect(outcome.deadLetters).toBeGreaterThan(0);
    expect(outcome.repeated).toBeGreaterThan(0);
  },
  60_000 + KILLS * LONGEST_LIFE_MS,
);
