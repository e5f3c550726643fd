/* A process that opens a store in a directory, says `open` and keeps it until it is killed. */
import { writeSync } from "node:fs";
import { lmdbHarness } from "./store-harness.ts";

const h = lmdbHarness(process.argv[2] ?? "");
await h.open();
h.store.putQueue(1, "held");
await h.commit();
writeSync(1, "open\n");
setInterval(() => {}, 1000);
