import { expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { killAgainAndAgain } from "../support/crash-lives.ts";
import { plainWorld } from "../support/crash-world.ts";

/** How often the broker is killed: DELOS_CRASHES=100 for a proof. */
const KILLS = Number(process.env["DELOS_CRASHES"] ?? 12);
/** DELOS_SEED=... makes the same choices again; the instants of the kills differ all the same. */
const SEED = Number(process.env["DELOS_SEED"] ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 15_000;

it(
  "a broker that is killed at any instant keeps what it confirmed, repeats nothing that was settled, and does no half things",
  async () => {
    const outcome = await killAgainAndAgain(temporaryFolder(), plainWorld(), { kills: KILLS, seed: SEED });
    console.log(`seed ${SEED}: ${JSON.stringify(outcome)}`);
    expect(outcome.confirmedSends).toBeGreaterThan(KILLS);
    expect(outcome.confirmedAcks).toBeGreaterThan(KILLS);
  },
  60_000 + KILLS * LONGEST_LIFE_MS,
);
