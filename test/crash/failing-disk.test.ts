import { describe, expect, it } from "vitest";
import { canonical } from "../../core/addresses/spelling.ts";
import { stompFormat } from "../../protocols/stomp/convert.ts";
import { systemClock } from "../../src/clock.ts";
import type { Change, Disk } from "../../store/lmdb/disk.ts";
import { LmdbStore } from "../../store/lmdb/store.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { Link } from "../support/crash-link.ts";
import { takeAll } from "../support/crash-reading.ts";
import { FaultyDisk } from "../support/store-faulty.ts";

/** How a commit fails: with nothing written, or written but not known to be. */
type Failure = "before" | "after";

/** Fails every commit from the n-th on. */
class FailingDisk extends FaultyDisk {
  private left: number;
  private readonly failure: Failure;

  constructor(disk: Disk, commits: number, failure: Failure) {
    super(disk, Number.POSITIVE_INFINITY);
    this.left = commits;
    this.failure = failure;
  }

  override async commit(changes: readonly Change[]): Promise<void> {
    if (--this.left > 0) return super.commit(changes);
    if (this.failure === "after") await super.commit(changes);
    throw new Error("the disk does not answer");
  }
}

function failingStore(directory: string, commits: number, failure: Failure): LmdbStore {
  return new LmdbStore({
    directory,
    formats: new Map([[stompFormat.name, stompFormat]]),
    addresses: (name, kind) => canonical.parse(kind, name),
    clock: systemClock,
    wrapDisk: (disk) => new FailingDisk(disk, commits, failure),
  });
}

/** Sends until the broker fails, and a little more; returns what was sent and what was confirmed. */
async function sendUntilFailed(directory: string, commits: number, failure: Failure) {
  const broker = await startBroker([], { store: failingStore(directory, commits, failure) });
  let stopped = false;
  const sent: string[] = [];
  const confirmed: string[] = [];
  let probed: (() => void) | undefined;
  const probe = new Promise<void>((resolve) => {
    probed = resolve;
  });
  const observer = await Link.open(broker.port, { frame: () => probed?.() });
  await observer?.request("SUBSCRIBE", { id: "1", destination: "/queue/probe" });
  const link = await Link.open(broker.port, { frame: () => {} });
  if (link === undefined) throw new Error("the broker is gone");
  const send = (): void => {
    const body = `m${sent.length}`;
    sent.push(body);
    link.ask("SEND", { destination: "/queue/orders", persistent: "true" }, body, () => {
      confirmed.push(body);
      if (!stopped) send();
    });
  };
  send();
  const failed = await broker.server.failed;
  stopped = true;
  const confirmedBefore = confirmed.length;
  send();
  link.send("SEND", { destination: "/queue/probe" }, "seen");
  await probe;
  await broker.stop();
  await link.closed;
  expect(confirmed, "nothing is confirmed after the failure").toHaveLength(confirmedBefore);
  return { failed, sent, confirmed };
}

describe("a commit that fails", () => {
  it.each([2, 3, 4, 7].flatMap((commits) => (["before", "after"] as const).map((failure) => ({ commits, failure }))))(
    "is fatal, and nothing is confirmed after it: commit $commits, $failure it was written",
    async ({ commits, failure }) => {
      const directory = temporaryFolder();
      const { failed, sent, confirmed } = await sendUntilFailed(directory, commits, failure);
      expect(failed.message).toMatch(
        /data directory .* cannot be written to \(the disk does not answer\).*store\.directory/,
      );
      expect(confirmed).toEqual(sent.slice(0, confirmed.length));
      const broker = await startBroker(["store.kind=lmdb", `store.directory=${directory}`]);
      const found = await takeAll(broker.port, "orders");
      expect(found.slice(0, confirmed.length), "what was confirmed is there").toEqual(confirmed);
      expect(found.length - confirmed.length, "and what was being written, at most").toBeLessThanOrEqual(
        failure === "after" ? 1 : 0,
      );
    },
  );
});
