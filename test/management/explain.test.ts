import { describe, expect, it } from "vitest";
import { delos } from "../support/delos.ts";
import { startManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const PATH = "/api/v1/hosts/default/explain";
const LOGIN = { login: "admin", passcode: "secret" };
const SETTINGS = [
  "access_rules=[{allow: [admins], action: ['*'], kind: ['*']}, {allow: [ann], principal_kind: [user], action: [send, create], kind: [topic]}]",
  "queues=[{match: 'small.**', max_message_size: 10, default_ttl: 1m}]",
];

describe("explaining a message", () => {
  it("names what a destination stands for in each protocol", async () => {
    const api = await startManagement();
    for (const [protocol, destination, kind, name] of [
      ["stomp", "/topic/a.b", "topic", "a.b"],
      ["mqtt", "a/b", "topic", "a.b"],
      ["mqtt", "$queue/a/b", "queue", "a.b"],
      ["amqp091", "/topic/a.b", "topic", "a.b"],
      ["amqp091", "/exchange/amq.direct/k", "exchange", undefined],
      ["amqp10", "queue://a.b", "queue", "a.b"],
      ["canonical", "topic:a.b", "topic", "a.b"],
    ] as const) {
      const { status, body } = await api.post(PATH, { protocol, destination });
      expect([status, body]).toMatchObject([200, [{ kind, ...(name === undefined ? {} : { name }) }]]);
    }
    expect(await api.post(PATH, { protocol: "mqtt", destination: "a/#" })).toMatchObject({ status: 400 });
    expect(await api.post(PATH, { protocol: "stomp", destination: "/queue/a,/topic/b" })).toMatchObject({
      body: [{ kind: "queue" }, { kind: "topic" }],
    });
  });

  it("says who would receive it and as what, and makes, counts and sends nothing", async () => {
    const api = await startManagement();
    const client = await StompWire.connect(api.broker.port, { headers: LOGIN });
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/a.*", selector: "n = 1" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/topic/a.b", selector: "n = 2" });
    const { body } = await api.post(PATH, {
      protocol: "mqtt",
      destination: "a/b",
      message: { body: "hello", properties: { n: 1 } },
    });
    expect(body).toMatchObject([
      {
        accepted: true,
        readers: expect.arrayContaining([
          expect.objectContaining({
            kind: "subscription",
            matches: true,
            selector: "n = 1",
            destination: "/topic/a.b",
            headers: expect.arrayContaining(["n:1", "destination:/topic/a.b"]),
            body: "text, 5 bytes",
          }),
          expect.objectContaining({ matches: false, selector: "n = 2" }),
        ]),
      },
    ]);
    const host = api.broker.server.broker.host(undefined);
    expect(host?.topics.get("a.b")?.ledger.received ?? 0).toBe(0);
    await api.post(PATH, { destination: "queue:not.there" });
    expect(host?.queues.has("not.there")).toBe(false);
  });

  it("names the rule, the limit and the policy that would decide", async () => {
    const api = await startManagement(SETTINGS);
    expect(await api.post(PATH, { destination: "topic:a", user: "ann" })).toMatchObject({
      body: [{ accepted: true, rights: [{ allowed: true, rule: "access_rules[1]" }, { allowed: true }] }],
    });
    expect(await api.post(PATH, { destination: "queue:a", user: "ann" })).toMatchObject({
      body: [
        {
          accepted: false,
          refusals: [expect.stringContaining("User ann may not send the queue a"), expect.anything()],
        },
      ],
    });
    const answer = await api.post(PATH, {
      destination: "queue:small.q",
      user: "admin",
      groups: ["admins"],
      message: { body: "much more than ten bytes" },
    });
    expect(answer).toMatchObject({
      body: [
        {
          accepted: false,
          refusals: [expect.stringContaining("max_message_size")],
          policy: expect.arrayContaining([{ key: "max_message_size", value: "10", origin: "queues[0] (small.**)" }]),
          notes: expect.arrayContaining([expect.stringContaining("default_ttl")]),
        },
      ],
    });
    expect((await api.post(PATH, { destination: "queue:a" }, { as: null })).status).toBe(401);
  });

  it("follows bindings of exchanges and diverts to queues and their consumers", async () => {
    const api = await startManagement(["diverts=[{from: {topic: from}, to: [{queue: copy}]}]"]);
    await api.put("/api/v1/hosts/default/queues/bound");
    await api.put("/api/v1/hosts/default/exchanges/ex");
    await api.post("/api/v1/hosts/default/bindings", {
      source: "ex",
      key: "k",
      destination: "bound",
      destination_kind: "queue",
    });
    const client = await StompWire.connect(api.broker.port, { headers: LOGIN });
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/bound" });
    expect(await api.post(PATH, { protocol: "stomp", destination: "/exchange/ex/k" })).toMatchObject({
      body: [
        {
          readers: [
            { kind: "queue", id: "bound", via: 'exchange ex, key "k"' },
            { kind: "consumer", via: "queue bound" },
          ],
        },
      ],
    });
    expect(await api.post(PATH, { protocol: "stomp", destination: "/exchange/ex/other" })).toMatchObject({
      body: [{ readers: [], notes: [expect.stringContaining("No binding of the exchange ex")] }],
    });
    expect(await api.post(PATH, { destination: "topic:from" })).toMatchObject({
      body: [{ notes: expect.arrayContaining([expect.stringContaining("A divert leads it to queue copy")]) }],
    });
  });

  it("follows diverts and dead letters as far as they lead, and says how much the sender may send", async () => {
    const api = await startManagement([
      "diverts=[{from: {topic: a}, to: [{queue: b}]}, {from: {queue: b}, to: [{queue: c}], exclusive: true}]",
      "queues=[{match: c, dead_letter_queue: 'dead.*'}, {match: 'dead.**', dead_letter_queue: buried}]",
      "limits=[{per: user, match: [ann], messages_in: 10}, {per: listener, bytes_in: 1k, exceeding: disconnect}]",
    ]);
    const client = await StompWire.connect(api.broker.port, { headers: LOGIN });
    await client.request("SUBSCRIBE", { id: "1", destination: "/queue/b" });
    await client.request("SUBSCRIBE", { id: "2", destination: "/queue/c" });
    const { body } = await api.post(PATH, { destination: "topic:a", user: "ann", listener: "mqtt" });
    expect(body).toMatchObject([
      {
        readers: [{ kind: "consumer", via: "queue c" }],
        notes: [
          "The topic a is not there yet and would be made",
          "A divert leads it to queue b as well",
          "A divert leads it from the queue b to queue c, and to nowhere else",
          "When given up, it would go from the queue c to the queue dead.c",
          "When given up, it would go from the queue dead.c to the queue buried",
          "The listener mqtt may send 1024 bytes a second; who sends more is disconnected (limits[1])",
          "The user ann may send 10 messages a second; who sends more waits (limits[0])",
        ],
      },
    ]);
  });

  it("tells it on the command line, with an exit code", async () => {
    const api = await startManagement(SETTINGS);
    const env = { DELOS_URL: api.url, DELOS_PASSWORD: "secret" };
    const yes = await delos(["explain", "mqtt", "a/b", "--as", "ann"], { env });
    expect([yes.code, yes.out]).toEqual([
      0,
      expect.stringMatching(/^a\/b is the topic a\.b \(not there\)\nIt would be accepted\.\n/),
    ]);
    const no = await delos(["explain", "stomp", "/queue/small.a", "--as", "ann"], { env });
    expect([no.code, no.out]).toEqual([1, expect.stringMatching(/It would be refused:\n {2}User ann may not send/)]);
    expect(no.out).toContain("max_message_size = 10  # queues[0] (small.**)");
  });
});

it("explains only so many destinations at a time", async () => {
  const api = await startManagement();
  const ask = (count: number) =>
    api.post("/api/v1/hosts/default/explain", {
      protocol: "stomp",
      destination: Array.from({ length: count }, (_, n) => `/queue/q${n}`).join(","),
    });
  expect((await ask(16)).body).toHaveLength(16);
  expect(await ask(17)).toMatchObject({ status: 400, body: { code: "bad-request" } });
});
