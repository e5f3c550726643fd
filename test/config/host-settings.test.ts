import { expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";

it("a broker's virtual hosts all have the policies, diverts, virtual topics and schedule of the configuration", async () => {
  const { server } = await startBroker([
    "hosts.other={}",
    "queues=[{match: 'orders.**', full: reject}]",
    "topics=[{match: news, max_ttl: 1m}]",
    "durable_subscriptions=[{match: 'billing.*', max_messages: 5}]",
    "diverts=[{from: {queue: a}, to: [{topic: '*'}], exclusive: true}]",
    "virtual_topics=[{topics: 'VT.*'}]",
    "schedule={catch_up_rate: 7, max_messages: 8}",
  ]);
  for (const name of ["default", "other"]) {
    const settings = server.broker.host(name)?.settings;
    expect(settings).toMatchObject({
      name,
      policies: [
        { pattern: { kind: "queue", text: "orders.**" }, full: "reject", origin: "queues[0] (orders.**)" },
        { pattern: { kind: "topic", text: "news" }, maxTtlMs: 60_000, origin: "topics[0] (news)" },
      ],
      durablePolicies: [
        { match: { text: "billing.*" }, maxMessages: 5, origin: "durable_subscriptions[0] (billing.*)" },
      ],
      diverts: [{ from: { text: "a" }, to: [{ kind: "topic", name: "*" }], selector: undefined, exclusive: true }],
      virtualTopics: [{ topics: { kind: "topic", text: "VT.*" }, consumers: "Consumer.*" }],
      schedule: { catchUpPerSecond: 7, maxMessages: 8 },
    });
  }
});
