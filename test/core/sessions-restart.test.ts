import { describe, expect, it } from "vitest";
import { coreBroker, parsePattern } from "../support/core-broker.ts";
import { connect, interest, restart, sessionsOf } from "../support/core-sessions.ts";

describe("sessions of a broker that starts again", () => {
  it("have what came for them, what they had not settled, and their interests", async () => {
    const first = await coreBroker();
    const client = connect(first).want("topic:a.*", { quality: 2, tag: 5, noLocal: true, retainAsPublished: true });
    client.want("queue:q", { quality: 0 });
    const publisher = first.client();
    publisher.send("topic:a.x", "unsettled", { durable: true });
    first.settle();
    expect(client.got.bodies).toEqual(["unsettled"]);
    const { sequence } = client.got.next();
    client.core.close();
    publisher.send("topic:a.x", "meanwhile", { durable: true });
    first.settle();

    const second = await restart(first);
    second.client().send("topic:a.y", "after", { durable: true });
    second.client().send("queue:q", "queued");
    const again = connect(second);
    second.settle();
    expect(again.present).toBe(true);
    expect(again.got.bodies.sort()).toEqual(["after", "meanwhile", "queued", "unsettled"]);
    expect(again.got.taken.find(({ body }) => body === "unsettled")?.delivery?.sequence).toBe(sequence);
    expect([...again.session.interests.all()].sort((a, b) => a.quality - b.quality)).toEqual([
      interest("queue:q", { quality: 0 }),
      interest("topic:a.*", { quality: 2, tag: 5, noLocal: true, retainAsPublished: true }),
    ]);
  });

  it("that were removed, and interests that were, do not come back", async () => {
    const first = await coreBroker();
    connect(first, { id: "gone" }).want("topic:a").session.put("x", Buffer.from("y"));
    sessionsOf(first).remove("gone");
    const client = connect(first).want("topic:a").want("topic:b");
    client.session.share("g", interest("topic:c"));
    client.session.remove(parsePattern("topic:a"));
    client.session.unshare("g", parsePattern("topic:c"));
    first.settle();
    const second = await restart(first);
    second.client().send("topic:a", "no", { durable: true });
    second.client().send("topic:b", "yes", { durable: true });
    expect(connect(second, { id: "gone" }).present).toBe(false);
    const again = connect(second);
    second.settle();
    expect(again.got.bodies).toEqual(["yes"]);
    expect([...(second.broker.host(undefined)?.durables.keys() ?? [])].sort()).toEqual(["gone", "s"]);
  });

  it("keep what their protocol has put there, until it is dropped", async () => {
    const first = await coreBroker();
    const client = connect(first);
    client.session.put("released 1", Buffer.from("one"));
    client.session.put("released 2", Buffer.from("two"));
    client.session.put("received 7", Buffer.from("seven"));
    client.session.put("released 2", Buffer.from("TWO"));
    client.session.drop("released 1");
    first.settle();
    const second = await restart(first);
    const again = connect(second);
    const entries = [...again.session.entries()].map(([key, value]) => [key, value.toString()]);
    expect(entries).toEqual([
      ["received 7", "seven"],
      ["released 2", "TWO"],
    ]);
    again.session.drop("received 7");
    again.core.close();
    expect([...connect(second).session.entries()].map(([key]) => key)).toEqual(["released 2"]);
  });

  it("expire when their time is over, the time in which the broker was down included", async () => {
    const first = await coreBroker();
    connect(first, { id: "short", expiryMs: 10_000 }).core.close();
    connect(first, { id: "long", expiryMs: 100_000 }).core.close();
    first.settle();
    const second = await restart(first, 20_000);
    second.clock.advance(0);
    expect(Array.from(sessionsOf(second).list(), ({ id }) => id)).toEqual(["long"]);
    second.clock.advance(79_999);
    expect(sessionsOf(second).count).toBe(1);
    second.clock.advance(1);
    expect(sessionsOf(second).count).toBe(0);
  });

  it("that were connected when it ended are not any more from its start on, and only then begin to expire", async () => {
    const first = await coreBroker();
    connect(first, { id: "s", expiryMs: 10_000 }).want("topic:a");
    connect(first, { id: "ends", expiryMs: 10_000 }).session.expiryMs = 0;
    first.settle();
    const second = await restart(first, 1_000_000);
    expect([...sessionsOf(second).list()]).toMatchObject([{ id: "s", connected: false, since: second.clock.now() }]);
    second.clock.advance(9_999);
    expect(sessionsOf(second).count).toBe(1);
    second.clock.advance(1);
    expect(sessionsOf(second).count).toBe(0);
  });

  it("of which the store lost the record leave no queue behind", async () => {
    const first = await coreBroker();
    const client = connect(first).want("topic:a");
    client.session.share("g", interest("topic:a"));
    client.core.close();
    first.client().send("topic:a", "1", { durable: true });
    first.settle();
    first.store.remove("session", "default\0s");
    const second = await restart(first);
    expect(second.broker.host(undefined)?.durables.size).toBe(0);
    expect([...second.store.keys("session-interest")]).toEqual([]);
  });

  it("that are clean leave nothing behind", async () => {
    const first = await coreBroker();
    const client = connect(first, { expiryMs: 0 }).want("topic:a");
    client.session.put("x", Buffer.from("y"));
    client.session.share("g", interest("topic:b"));
    first.client().send("topic:b", "1", { durable: true });
    first.settle();
    const second = await restart(first);
    expect(sessionsOf(second).count).toBe(0);
    expect(second.broker.host(undefined)?.durables.size).toBe(0);
    for (const kind of ["session", "session-interest", "session-state"])
      expect([...second.store.keys(kind)]).toEqual([]);
  });
});

describe("what a session says", () => {
  it("is confirmed only when it is safe", async () => {
    const core = await coreBroker();
    const client = connect(core);
    core.settle();
    const says: [string, () => void][] = [
      ["an interest", () => void client.want("topic:a")],
      ["an entry", () => client.session.put("k", Buffer.from("v"))],
      ["an entry dropped", () => client.session.drop("k")],
      ["an interest removed", () => void client.session.remove(parsePattern("topic:a"))],
      ["a share", () => void client.session.share("g", interest("topic:a"))],
      ["a share left", () => void client.session.unshare("g", parsePattern("topic:a"))],
      [
        "another expiry",
        () => {
          client.session.expiryMs = 5;
        },
      ],
      ["a will", () => void client.will("topic:a", "bye")],
    ];
    for (const [what, say] of says) {
      say();
      client.core.confirm(what);
      expect(client.confirms, what).not.toContain(what);
      core.settle();
      expect(client.confirms, what).toContain(what);
    }
    client.core.confirm("nothing");
    expect(client.confirms).toContain("nothing");
  });

  it("is confirmed at once by a session that ends with its connection", async () => {
    const core = await coreBroker();
    const client = connect(core, { expiryMs: 0 }).want("topic:a");
    client.session.put("k", Buffer.from("v"));
    client.session.drop("k");
    client.core.confirm("all of it");
    expect(client.confirms).toEqual(["all of it"]);
  });
});
