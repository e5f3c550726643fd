import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { StompitClient } from "../support/stompit-client.ts";
import { type StompVersion, StompWire } from "../support/stomp-wire.ts";

const PAIRS: readonly (readonly [StompVersion, StompVersion])[] = [
  ["1.0", "1.2"],
  ["1.2", "1.0"],
  ["1.1", "1.2"],
];

describe.each(PAIRS)("a request by STOMP %s, answered by STOMP %s", (asking, answering) => {
  it.each(["queue", "topic"])("over a temporary %s finds its way back", async (kind) => {
    const { port } = await startQueueBroker();
    const server = await StompitClient.connect(port, { "accept-version": answering });
    const requests = await server.subscribe("/queue/service");
    const client = await StompitClient.connect(port, { "accept-version": asking });
    const replies = await client.subscribe(`/temp-${kind}/replies`);
    for (const body of ["1", "2"]) {
      await client.send("/queue/service", body, { "reply-to": `/temp-${kind}/replies`, "correlation-id": `c${body}` });
    }
    for (const { headers, body } of await requests.first(2)) {
      await server.send(headers["reply-to"] ?? "", `re: ${body}`, { "correlation-id": headers["correlation-id"] });
    }
    await eventually(() => expect(replies.bodies).toEqual(["re: 1", "re: 2"]));
    expect(replies.got.map(({ headers }) => headers["correlation-id"])).toEqual(["c1", "c2"]);
  });
});

describe("a temporary queue", () => {
  it("takes replies that come before its owner subscribes", async () => {
    const { port } = await startQueueBroker();
    const server = await StompitClient.connect(port);
    const requests = await server.subscribe("/queue/service");
    const client = await StompitClient.connect(port);
    await client.send("/queue/service", "1", { "reply-to": "/temp-queue/replies" });
    await server.send((await requests.at(0)).headers["reply-to"] ?? "", "re: 1");
    const replies = await client.subscribe("/temp-queue/replies");
    await eventually(() => expect(replies.bodies).toEqual(["re: 1"]));
  });

  it("is for its owner alone to consume and to browse", async () => {
    const { port } = await startQueueBroker();
    const requests = await (await StompitClient.connect(port)).subscribe("/queue/service");
    const client = await StompitClient.connect(port);
    await client.send("/queue/service", "1", { "reply-to": "/temp-queue/replies" });
    const address = (await requests.at(0)).headers["reply-to"] ?? "";
    for (const browser of ["false", "true"]) {
      using thief = await StompWire.connect(port);
      await thief.send("SUBSCRIBE", { id: "1", destination: address, browser });
      expect(await thief.refused()).toMatch(/belongs to another session/);
    }
  });

  it("goes with its owner; who answers too late is not punished, and the answer is counted", async () => {
    const { port, host, clients } = await startQueueBroker();
    const server = await StompitClient.connect(port);
    const requests = await server.subscribe("/queue/service");
    const client = await StompitClient.connect(port);
    await client.subscribe("/temp-queue/replies");
    for (const body of ["1", "2"]) {
      await client.send("/queue/service", body, { "reply-to": "/temp-queue/replies", persistent: true });
    }
    const [first, second] = await requests.first(2);
    await server.send(first?.headers["reply-to"] ?? "", "in time");
    client.die();
    await clients(1);
    await server.send(second?.headers["reply-to"] ?? "", "too late", { persistent: true });
    await server.send("/queue/other", "goes on");
    expect(host.unroutable.lost).toEqual(new Map([["no-subscriber", 1]]));
    expect([...host.queues.keys()].filter((name) => name.startsWith("temp."))).toEqual([]);
  });
});
