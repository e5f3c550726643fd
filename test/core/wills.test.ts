import { describe, expect, it } from "vitest";
import { TRAIT } from "../../core/message.ts";
import { type Collector, type CoreBroker, coreBroker } from "../support/core-broker.ts";
import { connect, restart, sessionsOf } from "../support/core-sessions.ts";

/** Somebody who hears what is published to any topic. */
function listen(core: CoreBroker): Collector {
  const { got } = core.client().subscribe("topic:#", { settling: false });
  core.settle();
  return got;
}

/** Gathers what is published, over restarts too. */
function gather(core: CoreBroker): Collector {
  const client = connect(core, { id: "listener" }).want("topic:#");
  core.settle();
  return client.got;
}

describe("a will", () => {
  it("is published when the connection ends with it, and not when it was cleared before", async () => {
    const core = await coreBroker();
    const got = listen(core);
    const abnormal = connect(core, { id: "a", expiryMs: 0 }).will("topic:w", "a is gone");
    const clean = connect(core, { id: "b", expiryMs: 0 }).will("topic:w", "b is gone");
    clean.core.will = undefined;
    abnormal.core.close();
    clean.core.close();
    core.settle();
    expect(got.bodies).toEqual(["a is gone"]);
    expect([...core.store.keys("will")]).toEqual([]);
  });

  it("is the last one that was set", async () => {
    const core = await coreBroker();
    const got = listen(core);
    connect(core).will("topic:w", "first").will("topic:w", "second").core.close();
    expect(got.bodies).toEqual(["second"]);
  });

  it("waits for its delay, or for the end of the session if that comes sooner", async () => {
    const core = await coreBroker();
    const got = listen(core);
    connect(core, { id: "a", expiryMs: 60_000 }).will("topic:w", "a", { delayMs: 5000 }).core.close();
    connect(core, { id: "b", expiryMs: 3000 }).will("topic:w", "b", { delayMs: 5000 }).core.close();
    connect(core, { id: "c", expiryMs: 0 }).will("topic:w", "c", { delayMs: 5000 }).core.close();
    expect(got.bodies).toEqual(["c"]);
    core.clock.advance(2999);
    expect(got.bodies).toEqual(["c"]);
    core.clock.advance(1);
    expect(got.bodies).toEqual(["c", "b"]);
    core.clock.advance(1999);
    expect(got.bodies).toEqual(["c", "b"]);
    core.clock.advance(1);
    expect(got.bodies).toEqual(["c", "b", "a"]);
    core.clock.advance(100_000);
    expect(got.bodies).toHaveLength(3);
  });

  it("is forgotten when its session comes back before", async () => {
    const core = await coreBroker();
    const got = listen(core);
    for (let i = 0; i < 3; i++) {
      connect(core).will("topic:w", "gone", { delayMs: 5000 }).core.close();
      core.clock.advance(4000);
    }
    const back = connect(core);
    core.clock.advance(100_000);
    expect(got.bodies).toEqual([]);
    back.core.close();
    expect([...core.store.keys("will")]).toEqual([]);
  });

  it("does not wait for a session that was ended", async () => {
    const core = await coreBroker();
    const got = listen(core);
    connect(core, { id: "removed" }).will("topic:w", "removed", { delayMs: 5000 }).core.close();
    connect(core, { id: "anew" }).will("topic:w", "anew", { delayMs: 5000 }).core.close();
    sessionsOf(core).remove("removed");
    expect(got.bodies).toEqual(["removed"]);
    connect(core, { id: "anew", clean: true });
    expect(got.bodies).toEqual(["removed", "anew"]);
  });

  it("without a delay is published when another connection takes the session over", async () => {
    const core = await coreBroker();
    const got = listen(core);
    connect(core, { id: "now" }).will("topic:w", "now");
    connect(core, { id: "later" }).will("topic:w", "later", { delayMs: 1 });
    connect(core, { id: "now" });
    connect(core, { id: "later" });
    core.clock.advance(1000);
    expect(got.bodies).toEqual(["now"]);
  });

  it("lives as long as it says from when it is published, and is retained where it says so", async () => {
    const core = await coreBroker();
    const got = listen(core);
    const now = core.clock.now();
    connect(core).will("topic:w", "gone", { delayMs: 1000, ttlMs: 500, retain: "set" }).core.close();
    core.clock.advance(1000);
    expect(got.taken.map(({ message }) => [message.receivedAt, message.expiresAt])).toEqual([[now + 1000, now + 1500]]);
    const late = listen(core);
    expect(late.taken.map(({ body, message }) => [body, message.traits])).toEqual([["gone", TRAIT.retained]]);
    connect(core, { id: "t" }).will("topic:w", "", { retain: "remove" }).core.close();
    expect(listen(core).bodies).toEqual([]);
  });

  it("is not published for a client that may not send there by then", async () => {
    let allowed = true;
    const core = await coreBroker({
      broker: { access: { allows: (_login, action) => allowed || action !== "send" } },
    });
    const got = listen(core);
    const client = connect(core).will("topic:w", "no");
    allowed = false;
    client.core.close();
    core.settle();
    expect(got.bodies).toEqual([]);
    expect(core.broker.host(undefined)?.wills).toMatchObject({ published: 0, refused: 1, count: 0 });
    expect([...core.store.keys("will")]).toEqual([]);
  });
});

describe("the wills of a broker that died", () => {
  it("are published once after its start, but for those of sessions that come back before their delay", async () => {
    const first = await coreBroker();
    gather(first);
    connect(first, { id: "clean", expiryMs: 0 }).will("topic:w", "clean", { delayMs: 9000 });
    connect(first, { id: "kept" }).will("topic:w", "kept");
    connect(first, { id: "back" }).will("topic:w", "back", { delayMs: 5000 });
    connect(first, { id: "away" }).will("topic:w", "away", { delayMs: 5000, retain: "set" });
    first.settle();

    const second = await restart(first, 60_000);
    const got = gather(second);
    second.clock.advance(0);
    expect(got.bodies.sort()).toEqual(["clean", "kept"]);
    second.clock.advance(4999);
    connect(second, { id: "back" });
    second.clock.advance(1);
    expect(got.bodies.slice(2)).toEqual(["away"]);
    second.settle();

    const third = await restart(second);
    const again = gather(third);
    third.clock.advance(100_000);
    expect(again.bodies).not.toContain("back");
    expect(third.broker.host(undefined)?.wills.published).toBe(0);
    expect(third.broker.host(undefined)?.retained.count).toBe(1);
  });

  it("that were waiting are published when their delay is over, whatever time the broker was down", async () => {
    const first = await coreBroker();
    gather(first);
    connect(first, { id: "soon" }).will("topic:w", "soon", { delayMs: 5000 }).core.close();
    connect(first, { id: "late" }).will("topic:w", "late", { delayMs: 50_000 }).core.close();
    first.settle();
    const second = await restart(first, 20_000);
    const got = gather(second);
    second.clock.advance(0);
    expect(got.bodies).toEqual(["soon"]);
    second.clock.advance(29_999);
    expect(got.bodies).toEqual(["soon"]);
    second.clock.advance(1);
    expect(got.bodies).toEqual(["soon", "late"]);
  });

  it("are checked again for who left them", async () => {
    const first = await coreBroker();
    connect(first, { login: { user: "ann", groups: ["staff"] } }).will("topic:w", "no", { durable: false });
    first.settle();
    await first.broker.close();
    const asked: unknown[] = [];
    const second = await coreBroker({
      clock: first.clock,
      store: first.store,
      broker: {
        access: {
          allows: (login, action, _kind, name) => {
            if (action === "send") asked.push([login, name]);
            return action !== "send";
          },
        },
      },
    });
    second.clock.advance(0);
    expect(asked).toMatchObject([[{ user: "ann", groups: ["staff"] }, "w"]]);
    expect(second.broker.host(undefined)?.wills.refused).toBe(1);
  });
});
