import { describe, expect, it } from "vitest";
import type { DivertRule } from "../../core/routing/divert.ts";
import { compileSelector } from "../../core/selector/selector.ts";
import type { HostSettings } from "../../core/virtual-host.ts";
import { type CoreBroker, coreBroker, parse, parsePattern } from "../support/core-broker.ts";

interface Written {
  readonly from: string;
  readonly to: string;
  readonly selector?: string;
  readonly exclusive?: boolean;
}

function diverting(rules: readonly Written[], more: Partial<HostSettings> = {}): Promise<CoreBroker> {
  const diverts: DivertRule[] = rules.map(({ from, to, selector, exclusive = false }) => ({
    from: parsePattern(from),
    to: to.split(" ").map((target) => {
      const cut = target.indexOf(":");
      return { kind: parse(`${target.slice(0, cut)}:x`).kind, name: target.slice(cut + 1) };
    }),
    selector: selector === undefined ? undefined : compileSelector(selector),
    exclusive,
  }));
  return coreBroker({ host: { diverts, ...more } });
}

/** How many messages each queue holds. */
function counts(core: CoreBroker): Record<string, number> {
  const queues = core.broker.host(undefined)?.queues ?? new Map();
  return Object.fromEntries([...queues.values()].map((queue) => [queue.address.name, queue.count]));
}

describe("a divert", () => {
  it("has what is sent to its sources go to the targets too, made with the source's name", async () => {
    const core = await diverting([{ from: "queue:orders.**", to: "queue:audit.* topic:seen" }]);
    const client = core.client();
    const { got } = client.subscribe("topic:seen", { settling: false });
    core.settle();
    client.send("queue:orders.eu", "1");
    client.send("queue:other", "2");
    expect(counts(core)).toEqual({ "orders.eu": 1, "audit.orders.eu": 1, other: 1 });
    expect(got.bodies).toEqual(["1"]);
  });

  it("takes what its selector matches, for itself if it is exclusive", async () => {
    const core = await diverting([{ from: "queue:a", to: "queue:b", selector: "region = 'eu'", exclusive: true }]);
    const client = core.client();
    client.send("queue:a", "1", { properties: { region: "eu" } });
    client.send("queue:a", "2", { properties: { region: "us" } });
    expect(counts(core)).toEqual({ a: 1, b: 1 });
    expect(core.broker.host(undefined)?.queues.get("a")?.ledger.lost).toEqual(new Map([["diverted", 1]]));
  });

  it("makes a composite of a destination, which may be one of its parts", async () => {
    const core = await diverting([
      { from: "topic:all", to: "queue:a queue:b", exclusive: true },
      { from: "queue:c", to: "queue:c queue:d", exclusive: true },
    ]);
    const client = core.client();
    client.send("topic:all", "1");
    client.send("queue:c", "2");
    expect(counts(core)).toEqual({ a: 1, b: 1, c: 1, d: 1 });
    expect(core.broker.host(undefined)?.topics.get("all")?.ledger.lost).toEqual(new Map([["diverted", 1]]));
  });

  it("applies to what another divert sends", async () => {
    const core = await diverting([
      { from: "queue:a", to: "topic:b" },
      { from: "topic:b", to: "queue:c", exclusive: true },
    ]);
    core.client().send("queue:a", "1");
    expect(counts(core)).toEqual({ a: 1, c: 1 });
  });

  it("that leads in a circle ends after eight hops, and the cut is counted", async () => {
    const core = await diverting([
      { from: "queue:a", to: "queue:b", exclusive: true },
      { from: "queue:b", to: "queue:a", exclusive: true },
    ]);
    core.client().send("queue:a", "1");
    expect(counts(core)).toEqual({ a: 0, b: 0 });
    const ledgers = ["a", "b"].map((name) => core.broker.host(undefined)?.queues.get(name)?.ledger.lost);
    expect(ledgers).toEqual([
      new Map([["diverted", 5]]),
      new Map([
        ["diverted", 4],
        ["loop", 1],
      ]),
    ]);
  });

  it("makes its targets although nobody may, whatever is configured", async () => {
    const core = await diverting([{ from: "queue:a", to: "queue:b" }], {
      autoCreate: false,
      policies: [{ pattern: parsePattern("queue:a") }],
    });
    core.client().send("queue:a", "1");
    expect(counts(core)).toEqual({ a: 1, b: 1 });
  });

  it("to a full queue has the sender wait", async () => {
    const policies = [{ pattern: parsePattern("queue:b"), persistent: false, memoryBytes: 10 }];
    const core = await diverting([{ from: "queue:a", to: "queue:b" }], { policies });
    const client = core.client();
    client.send("queue:a", "more than ten bytes");
    expect(client.core.waitingOn).toBe("blocked sending to: queue b");
  });

  it("takes from temporary destinations too", async () => {
    const core = await diverting([{ from: "queue:temp.**", to: "queue:answers" }]);
    const [owner, other] = [core.client(), core.client()];
    const { name } = owner.core.temporary("queue", "reply");
    other.send(`queue:${name}`, "1");
    expect(counts(core)).toEqual({ [name]: 1, answers: 1 });
  });

  it("drops at its target what is too large there", async () => {
    const policies = [{ pattern: parsePattern("queue:b"), maxMessageBytes: 5 }];
    const core = await diverting([{ from: "queue:a", to: "queue:b" }], { policies });
    core.client().send("queue:a", "more than five bytes");
    expect(counts(core)).toEqual({ a: 1, b: 0 });
    expect(core.broker.host(undefined)?.queues.get("b")?.ledger.lost.get("refused")).toBe(1);
  });

  it("drops at its target what that would refuse, and the sender is not told", async () => {
    const policies = [{ pattern: parsePattern("queue:b"), maxMessages: 1, full: "reject" as const }];
    const core = await diverting([{ from: "queue:a", to: "queue:b" }], { policies });
    const client = core.client();
    for (const body of ["1", "2"]) client.send("queue:a", body);
    expect(counts(core)).toEqual({ a: 2, b: 1 });
    expect(core.broker.host(undefined)?.queues.get("b")?.ledger.lost.get("dropped-newest")).toBe(1);
  });

  it("that is exclusive leads past a source that is full", async () => {
    const policies = [{ pattern: parsePattern("queue:a"), maxMessages: 1, full: "reject" as const }];
    const rule = { from: "queue:a", to: "queue:b", selector: "urgent = 'yes'", exclusive: true };
    const core = await diverting([rule], { policies });
    const client = core.client();
    client.send("queue:a", "1");
    client.send("queue:a", "2", { properties: { urgent: "yes" } });
    expect(() => client.send("queue:a", "3")).toThrow("max_messages");
    expect(counts(core)).toEqual({ a: 1, b: 1 });
  });
});
