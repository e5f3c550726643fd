import { describe, expect, it } from "vitest";
import type { Interest } from "../../core/sessions/interests.ts";
import { ASSIGNED } from "../../core/sessions/share.ts";
import { expectEvenAccounts } from "../support/core-accounts.ts";
import { type CoreBroker, coreBroker, parsePattern } from "../support/core-broker.ts";
import { connect, interest, restart, type SessionClient } from "../support/core-sessions.ts";

function member(core: CoreBroker, id: string, expiryMs: number, options: Partial<Interest> = {}): SessionClient {
  const client = connect(core, { id, expiryMs });
  client.session.share("g", interest("topic:a.*", options));
  core.settle();
  return client;
}

function queueOf(core: CoreBroker) {
  return core.broker.host(undefined)?.durables.get("share/g/a.*")?.queue;
}

const FOR_EVER = Number.POSITIVE_INFINITY;

describe("sessions that share a subscription", () => {
  it.each([0, FOR_EVER])("get each message once among them, beside what each has alone (%d ms)", async (expiryMs) => {
    const core = await coreBroker();
    const [one, two] = [member(core, "one", expiryMs), member(core, "two", expiryMs)];
    one.want("topic:a.x");
    const publisher = core.client();
    for (let i = 0; i < 4; i++) publisher.send("topic:a.x", String(i), { durable: true });
    core.settle();
    expect(one.gotShared.taken).toHaveLength(2);
    expect([...one.gotShared.bodies, ...two.gotShared.bodies].sort()).toEqual(["0", "1", "2", "3"]);
    expect(one.got.bodies).toEqual(["0", "1", "2", "3"]);
    expect(two.got.bodies).toEqual([]);
  });

  it("settle by the subscription of their share, which they may hold and let go on", async () => {
    const core = await coreBroker();
    const one = member(core, "one", 0);
    const [share] = one.shares;
    if (share === undefined) throw new Error("no share");
    share.subscription.hold();
    core.client().send("topic:a.x", "1", { durable: true });
    core.settle();
    expect(one.gotShared.bodies).toEqual([]);
    share.subscription.ready();
    expect(queueOf(core)?.held).toBe(1);
    one.core.settle(share.subscription, one.gotShared.next(), "accepted");
    expect(queueOf(core)?.count).toBe(0);
    expect([...one.session.shares.keys()]).toEqual(["share/g/a.*"]);
  });

  it.each(["leaves", "loses its connection"])("get what one held that %s", async (how) => {
    const core = await coreBroker();
    const one = member(core, "one", 0);
    const publisher = core.client();
    for (const body of ["1", "2", "3"]) publisher.send("topic:a.x", body, { durable: true });
    core.settle();
    const two = member(core, "two", 0);
    expect(two.gotShared.bodies).toEqual([]);
    if (how === "leaves") expect(one.session.unshare("g", parsePattern("topic:a.*"))).toBe(true);
    else one.core.close();
    core.settle();
    expect(two.gotShared.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual([
      ["1", 1],
      ["2", 1],
      ["3", 1],
    ]);
  });

  it("have nothing any more once the last of them is gone", async () => {
    const core = await coreBroker();
    const [one, two] = [member(core, "one", 0), member(core, "two", 1000)];
    core.client().send("topic:a.x", "1", { durable: true });
    core.settle();
    one.core.close();
    two.core.close();
    expect(queueOf(core)?.count).toBe(1);
    core.clock.advance(1000);
    expect(core.broker.host(undefined)?.durables.size).toBe(0);
    expect(member(core, "one", 0).gotShared.bodies).toEqual([]);
    expect(connect(core, { id: "x" }).session.unshare("g", parsePattern("topic:a.*"))).toBe(false);
  });

  it("have what came while those that last were away, but for what need not come surely", async () => {
    const core = await coreBroker();
    member(core, "one", FOR_EVER).core.close();
    const publisher = core.client();
    publisher.send("topic:a.x", "sure", { durable: true });
    publisher.send("topic:a.x", "not sure");
    const again = connect(core, { id: "one" });
    core.settle();
    expect(again.gotShared.bodies).toEqual(["sure"]);
    expect(queueOf(core)?.ledger.lost.get("no-subscriber")).toBe(1);
  });

  it("have it after a restart too, from when the first of them came that lasts", async () => {
    const first = await coreBroker();
    member(first, "clean", 0);
    member(first, "lasting", FOR_EVER);
    const publisher = first.client();
    for (const body of ["1", "2"]) publisher.send("topic:a.x", body, { durable: true });
    first.settle();
    const second = await restart(first);
    second.client().send("topic:a.y", "3", { durable: true });
    expect(connect(second, { id: "clean" }).present).toBe(false);
    const again = connect(second, { id: "lasting" });
    second.settle();
    expect(again.gotShared.bodies).toEqual(["1", "2", "3"]);
    expect(again.shares.map(({ group, interest: { pattern } }) => [group, pattern.text])).toEqual([["g", "a.*"]]);
  });

  it("store nothing that none of them wants surely", async () => {
    const core = await coreBroker();
    const one = member(core, "one", FOR_EVER, { quality: 0 });
    core.client().send("topic:a.x", "1", { durable: true });
    core.settle();
    expect(one.gotShared.taken.map(({ body, delivery }) => [body, delivery])).toEqual([["1", undefined]]);
    expect(core.store.statistics().enqueued).toBe(0);
    one.session.share("g", interest("topic:a.*", { quality: 2 }));
    core.client().send("topic:a.x", "2", { durable: true });
    expect(one.gotShared.taken[1]?.delivery).toBeDefined();
    expect(one.shares).toHaveLength(1);
  });

  it.each([0, 1000])("have it for themselves once it is assigned to one of them (%d ms)", async (expiryMs) => {
    const core = await coreBroker();
    const one = member(core, "one", expiryMs, { tag: 7 });
    const publisher = core.client();
    for (const body of ["1", "2"]) publisher.send("topic:a.x", body, { durable: true });
    core.settle();
    const [share] = one.shares;
    const [taken] = one.gotShared.taken;
    if (share === undefined || taken?.delivery === undefined) throw new Error("nothing was shared");
    const own = one.session.assign(share, taken.delivery, taken.message);
    expect(own?.message.body.toString()).toBe("1");
    expect(own?.message.annotations).toEqual(new Map([[ASSIGNED.tag, 7]]));
    expect(one.session.assign(share, taken.delivery, taken.message)).toBeUndefined();
    expect(queueOf(core)?.count).toBe(1);
    expectEvenAccounts(core.broker);
    const two = member(core, "two", 0);
    one.core.close();
    core.settle();
    expect(two.gotShared.bodies).toEqual(["2"]);
    expectEvenAccounts(core.broker);
    const again = connect(core, { id: "one", expiryMs });
    core.settle();
    expect(again.got.taken.map(({ body, deliveries }) => [body, deliveries])).toEqual(expiryMs === 0 ? [] : [["1", 1]]);
    again.core.close();
    core.clock.advance(1000);
    expect(two.gotShared.bodies).toEqual(["2"]);
    expectEvenAccounts(core.broker);
  });

  it("keep theirs from those who delete durable subscriptions", async () => {
    const core = await coreBroker();
    member(core, "one", FOR_EVER);
    expect(() => core.client().core.deleteDurable("share/g/a.*")).toThrow("shared by sessions");
  });
});
