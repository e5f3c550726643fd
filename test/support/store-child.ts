/*
 * A process that plays a script to a store in a directory until it is killed. It says on its output, a line each:
 * `said TURN BATCH` when a turn was said that belongs to a batch, `durable BATCH` when that is on disk.
 */
import { writeSync } from "node:fs";
import { LmdbStore } from "../../store/lmdb/store.ts";
import { testAddress, testFormat } from "./store-harness.ts";
import { StorePlayer } from "./store-player.ts";
import { StoreScript } from "./store-script.ts";

const [directory = "", seed = "1"] = process.argv.slice(2);
const store = new LmdbStore({
  directory,
  formats: new Map([[testFormat.name, testFormat]]),
  addresses: testAddress,
  clock: { endOfTurn: (task) => void setImmediate(task) },
});
const player = new StorePlayer(store);
const script = new StoreScript(Number(seed));

await store.open({
  durable: (batch) => {
    writeSync(1, `durable ${batch}\n`);
    player.release();
  },
  failed: (cause) => {
    throw cause;
  },
  congested: () => {},
});
player.putQueues();
let turns = 0;
function turn(): void {
  // Not further ahead than a few batches, so that there is something to be killed in.
  if (store.gathering - store.durable < 4) {
    const batch = store.gathering;
    player.play(script.turn());
    writeSync(1, `said ${++turns} ${batch}\n`);
  }
  setImmediate(turn);
}
turn();
