import { describe, expect, it } from "vitest";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { type CoreBroker, coreBroker, parsePattern, type TestClient } from "../support/core-broker.ts";
import { connect, type SessionClient } from "../support/core-sessions.ts";

const GRACE_MS = 2000;
const DEADLINE_MS = 30_000;
const BODY = "123456789";

async function withRoomFor(subscriberBytes: number): Promise<CoreBroker> {
  const policies = [{ pattern: parsePattern("topic:**"), subscriberBytes, slowSubscriberDeadlineMs: DEADLINE_MS }];
  return coreBroker({ host: { policies } });
}

/** A client that takes one message and then nothing. */
function stuckAt(core: CoreBroker, options: { expiryMs: number; quality?: 0 | 1 }): SessionClient {
  const { expiryMs, quality = 0 } = options;
  const client = connect(core, { expiryMs, graceMs: GRACE_MS }).want("topic:a", { quality });
  client.got.room = 1;
  core.settle();
  return client;
}

function takeAll(client: SessionClient): void {
  client.got.room = Number.POSITIVE_INFINITY;
  client.session.subscription.ready();
}

/** Sends until it is held up; returns how many messages that were. */
function fill(publisher: TestClient, options: { durable?: boolean } = {}): number {
  for (let sent = 0; sent < 1000; sent++) {
    if (publisher.core.blocked) return sent;
    publisher.send("topic:a", BODY, options);
  }
  throw new Error("Nobody held up the publisher");
}

describe("a session that takes nothing", () => {
  it("holds up publishers of what it need not have surely for its grace, then that is dropped until it caught up", async () => {
    const core = await withRoomFor(100);
    const slow = stuckAt(core, { expiryMs: 0 });
    const publisher = core.client();
    const sent = fill(publisher);
    core.clock.advance(GRACE_MS - 1);
    expect(publisher.unblocks).toBe(0);
    core.clock.advance(1);
    expect(publisher.unblocks).toBe(1);
    for (let i = 0; i < 50; i++) publisher.send("topic:a", BODY);
    expect(publisher.core.blocked).toBe(false);
    expect(slow.session.subscription.feed?.ledger.lost.get("dropped-newest")).toBe(50);
    core.clock.advance(DEADLINE_MS * 2);
    expect(slow.evictedFor).toBeUndefined();
    expectEvenAccounts(core.broker);
    takeAll(slow);
    publisher.send("topic:a", "new");
    expect(slow.got.taken).toHaveLength(sent + 1);
    expect(slow.got.bodies.at(-1)).toBe("new");
    expectEvenAccounts(core.broker);
  });

  it("is waited for anew once it has caught up", async () => {
    const core = await withRoomFor(100);
    const slow = stuckAt(core, { expiryMs: 0 });
    const publisher = core.client();
    fill(publisher);
    core.clock.advance(GRACE_MS);
    takeAll(slow);
    slow.got.room = 1;
    publisher.send("topic:a", BODY);
    fill(publisher);
    core.clock.advance(GRACE_MS / 2);
    expect(publisher.core.blocked).toBe(true);
    expect(slow.session.subscription.feed?.ledger.lostTotal).toBe(0);
    core.clock.advance(GRACE_MS);
    expect(publisher.core.blocked).toBe(false);
  });

  it("holds up publishers of what it is to have surely until its connection is ended", async () => {
    const core = await withRoomFor(100);
    const slow = stuckAt(core, { expiryMs: 0, quality: 1 });
    const publisher = core.client();
    fill(publisher, { durable: true });
    core.clock.advance(GRACE_MS * 2);
    expect(publisher.core.blocked).toBe(true);
    expect(slow.session.subscription.feed?.ledger.lostTotal).toBe(0);
    core.clock.advance(DEADLINE_MS);
    expect(slow.evictedFor).toContain("slow_subscriber_deadline");
  });

  it("goes on holding up those, whatever else comes meanwhile", async () => {
    const core = await withRoomFor(100);
    const slow = stuckAt(core, { expiryMs: 0, quality: 1 }).want("topic:b", { quality: 0 });
    const [sure, unsure] = [core.client(), core.client()];
    fill(sure, { durable: true });
    unsure.send("topic:b", BODY);
    expect(unsure.core.blocked).toBe(true);
    core.clock.advance(GRACE_MS * 2);
    expect([sure.core.blocked, unsure.core.blocked]).toEqual([true, true]);
    core.clock.advance(DEADLINE_MS);
    expect(slow.evictedFor).toContain("slow_subscriber_deadline");
  });

  it("loses nothing of what is within its buffer, nor of what came before", async () => {
    const core = await withRoomFor(1000);
    const slow = stuckAt(core, { expiryMs: 0 });
    const publisher = core.client();
    for (let i = 0; i < 50; i++) {
      publisher.send("topic:a", String(i));
      core.clock.advance(GRACE_MS);
    }
    takeAll(slow);
    expect(slow.got.bodies).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
  });

  it("that is kept does not gather without end what it need not have surely", async () => {
    const core = await withRoomFor(100);
    const slow = stuckAt(core, { expiryMs: Number.POSITIVE_INFINITY });
    const publisher = core.client();
    for (let i = 0; i < 50; i++) {
      publisher.send("topic:a", BODY);
      core.clock.advance(GRACE_MS / 4);
    }
    const queue = core.broker.host(undefined)?.durables.get("s")?.queue;
    expect(publisher.core.blocked).toBe(false);
    expect(queue?.ledger.lost.get("dropped-newest")).toBeGreaterThan(30);
    expectEvenAccounts(core.broker);
    takeAll(slow);
    publisher.send("topic:a", "new");
    expect(slow.got.bodies.at(-1)).toBe("new");
    expectEvenAccounts(core.broker);
  });
});

describe("a session that takes a little now and then", () => {
  it("loses nothing, until it has held up its publishers for as long as anybody may", async () => {
    const core = await withRoomFor(1000);
    const slow = stuckAt(core, { expiryMs: 0 });
    const publisher = core.client();
    fill(publisher);
    for (let heldUpMs = 0; heldUpMs + 1500 < DEADLINE_MS; heldUpMs += 1500) {
      slow.got.room = 1;
      slow.session.subscription.ready();
      core.clock.advance(1500);
      expect(publisher.unblocks).toBe(0);
    }
    slow.got.room = 1;
    slow.session.subscription.ready();
    core.clock.advance(1500);
    expect(publisher.unblocks).toBe(1);
    for (let i = 0; i < 50; i++) publisher.send("topic:a", BODY);
    expect(publisher.core.blocked).toBe(false);
    expect(slow.session.subscription.feed?.ledger.lost.get("dropped-newest")).toBeGreaterThan(0);
    expect(slow.evictedFor).toBeUndefined();
  });
});
