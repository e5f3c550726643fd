import { describe, expect, it } from "vitest";
import { DEFAULT_POLICY } from "../../core/policy.ts";
import { coreBroker, type CoreBroker } from "../support/core-broker.ts";

function topicCount({ broker }: CoreBroker): number | undefined {
  return broker.host(undefined)?.topics.size;
}

describe("topics that nobody uses", () => {
  it("go some at a time when there are thousands of them", async () => {
    const core = await coreBroker();
    const client = core.client();
    for (let i = 0; i < 5000; i++) client.send(`topic:t.${i}`, "");
    const counts = new Set<number | undefined>();
    for (let waited = 0; waited < 2 * DEFAULT_POLICY.autoDeleteAfterMs; waited += 1) {
      core.clock.advance(1);
      counts.add(topicCount(core));
    }
    expect([...counts]).toEqual([5000, 3000, 1000, 0]);
  });
});

describe("a topic with many subscribers", () => {
  it("gives each a message once, whoever came and went before", async () => {
    const core = await coreBroker();
    const client = core.client();
    const all = Array.from({ length: 40 }, () => client.subscribe("topic:a", { settling: false }));
    core.settle();
    client.send("topic:a", "1");
    for (const [at, { subscription }] of all.entries()) if (at % 3 !== 0) subscription.close();
    client.send("topic:a", "2");
    const later = client.subscribe("topic:*", { settling: false });
    core.settle();
    client.send("topic:a", "3");
    for (const [at, { got }] of all.entries()) expect(got.bodies).toEqual(at % 3 === 0 ? ["1", "2", "3"] : ["1"]);
    expect(later.got.bodies).toEqual(["3"]);
  });
});
