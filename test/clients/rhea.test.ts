import rhea, { type Connection } from "rhea";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { ca, caFile, tlsSettings } from "../tls/material.ts";
import { connectRhea, once, openReceiver, openSender, send } from "./rhea-client.ts";

describe("rhea, a client of AMQP 1.0", () => {
  const bodies: readonly (readonly [string, unknown])[] = [
    ["a text", "grüße \u{1f30a}"],
    ["an empty text", ""],
    ["a number", 42],
    ["a map", { a: 1, b: "x", c: [true, null] }],
    ["a list", [1, "two", { three: 3 }]],
    ["bytes", rhea.message.data_section(Buffer.from([0, 1, 2, 255]))],
    ["a sequence", rhea.message.sequence_section([1, 2])],
  ];
  it.each(bodies)("sends and receives %s as it is", async (_what, body) => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    const inbox = await openReceiver(connection, "q");
    const sender = await openSender(connection, "q");
    expect(await send(sender, { body })).toBe("accepted");
    expect((await inbox.next()).message?.body).toEqual(body);
  });

  it("keeps properties, annotations and application properties", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    const inbox = await openReceiver(connection, "q");
    const sender = await openSender(connection, "q");
    const message = {
      durable: true,
      priority: 7,
      ttl: 60_000,
      message_id: 5,
      correlation_id: "c",
      subject: "s",
      reply_to: "queue://r",
      content_type: "text/plain",
      group_id: "g",
      group_sequence: 3,
      application_properties: { colour: "red", size: 5, big: true },
      message_annotations: { "x-opt-mine": "note" },
      body: "x",
    };
    await send(sender, message);
    const { ttl, ...rest } = message;
    const got = (await inbox.next()).message;
    expect(got).toMatchObject(rest);
    expect(got?.ttl).toBeLessThanOrEqual(ttl);
  });

  it("sends and receives a megabyte, in small frames too", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port, { max_frame_size: 1024 });
    const inbox = await openReceiver(connection, "q");
    const sender = await openSender(connection, "q");
    const body = rhea.message.data_section(Buffer.alloc(1_000_000, "0123456789"));
    expect(await send(sender, { body })).toBe("accepted");
    expect((await inbox.next()).message?.body).toEqual(body);
  });

  it("asks and answers by a dynamic queue and an anonymous sender", async () => {
    const { port } = await startBroker();
    const server = connectRhea(port);
    const requests = await openReceiver(server, "requests");
    const answers = await openSender(server, { target: {} });
    requests.receiver.on("message", ({ message }) => {
      if (message === undefined) return;
      answers.send({ to: message.reply_to, correlation_id: message.correlation_id, body: `${message.body}!` });
    });
    const client = connectRhea(port);
    const replies = await openReceiver(client, { source: { address: "", dynamic: true } });
    const sender = await openSender(client, "requests");
    await send(sender, { reply_to: replies.receiver.source.address, correlation_id: "7", body: "ping" });
    expect((await replies.next()).message).toMatchObject({ body: "ping!", correlation_id: "7" });
  });

  it.each([
    ["accept", 0, undefined],
    ["reject", 0, 1],
    ["release", 1, undefined],
    ["modified", 1, undefined],
  ] as const)("settles by %s", async (outcome, left, dead) => {
    const { port, server } = await startBroker(["queues=[{match: q, dead_letter_queue: dead}]"]);
    const connection = connectRhea(port);
    const sender = await openSender(connection, "q");
    await send(sender, { body: "x" });
    const inbox = await openReceiver(connection, { source: "q", autoaccept: false, credit_window: 0 });
    inbox.receiver.add_credit(1);
    const { delivery } = await inbox.next();
    delivery?.[outcome]();
    const queues = server.broker.host(undefined)?.queues;
    inbox.receiver.close();
    await once(inbox.receiver, "receiver_close");
    await eventually(() => queues?.get("q")?.count === left);
    expect(queues?.get("dead")?.count).toBe(dead);
  });

  it("drains a queue", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    const sender = await openSender(connection, "q");
    await send(sender, { body: "x" });
    const inbox = await openReceiver(connection, { source: "q", credit_window: 0 });
    inbox.receiver.drain = true;
    inbox.receiver.add_credit(10);
    await once(inbox.receiver, "receiver_drained");
    expect(inbox.contexts.map(({ message }) => message?.body)).toEqual(["x"]);
  });

  it("selects messages, browses, and subscribes to topics", async () => {
    const { port } = await startBroker();
    const connection = connectRhea(port);
    const red = await openReceiver(connection, {
      source: { address: "topic://t", filter: rhea.filter.selector("colour = 'red'") },
    });
    const all = await openReceiver(connection, { source: { address: "t", capabilities: ["topic"] } });
    const sender = await openSender(connection, "topic://t");
    for (const colour of ["blue", "red"]) await send(sender, { application_properties: { colour }, body: colour });
    expect((await red.next()).message?.body).toBe("red");
    expect([(await all.next()).message?.body, (await all.next()).message?.body]).toEqual(["blue", "red"]);
    const queue = await openSender(connection, "q");
    await send(queue, { body: "stays" });
    const browser = await openReceiver(connection, { source: { address: "q", distribution_mode: "copy" } });
    const taker = await openReceiver(connection, "q");
    expect((await browser.next()).message?.body).toBe("stays");
    expect((await taker.next()).message?.body).toBe("stays");
  });

  it("comes back to its durable subscription", async () => {
    const { port } = await startBroker();
    const options = {
      name: "sub",
      source: { address: "topic://t", durable: 2, expiry_policy: "never" },
    };
    const subscribe = async (): Promise<{ connection: Connection; body(): Promise<unknown> }> => {
      const connection = connectRhea(port, { container_id: "me" });
      const inbox = await openReceiver(connection, options);
      return { connection, body: async () => (await inbox.next()).message?.body };
    };
    const first = await subscribe();
    first.connection.close();
    await once(first.connection, "connection_close");
    const connection = connectRhea(port);
    const sender = await openSender(connection, "topic://t");
    await send(sender, { body: "meanwhile" });
    const second = await subscribe();
    expect(await second.body()).toBe("meanwhile");
  });

  it("logs in by PLAIN, and is told of a wrong password", async () => {
    const { port } = await startBroker(["security.users.alice.password=secret", "security.guest.enabled=false"]);
    const right = connectRhea(port, { username: "alice", password: "secret" });
    await once(right, "connection_open");
    const wrong = connectRhea(port, { username: "alice", password: "wrong" });
    expect((await once(wrong, "connection_error")).error).toMatchObject({
      message: expect.stringMatching(/Failed to authenticate/),
    });
  });

  it("shows a certificate over TLS and logs in by EXTERNAL", async () => {
    const folder = temporaryFolder();
    const settings = [...tlsSettings(folder), `tls.ca=${caFile(folder)}`, "tls.client_certificates=need"];
    const { port } = await startBroker([...settings, "listeners.stomp.tls.required=true"]);
    const shown = ca.issue({ commonName: "pump-7" });
    const connection = connectRhea(port, {
      transport: "tls",
      ca: [ca.certificate],
      cert: shown.certificate,
      key: shown.key,
      enable_sasl_external: true,
    });
    const inbox = await openReceiver(connection, "q");
    const sender = await openSender(connection, "q");
    expect(await send(sender, { body: "x" })).toBe("accepted");
    expect((await inbox.next()).message?.body).toBe("x");
  });

  it("is told why it may not have a link", async () => {
    const { port } = await startBroker(["auto_create_destinations=false"]);
    const connection = connectRhea(port);
    const sender = connection.open_sender("nowhere");
    expect((await once(sender, "sender_error")).sender?.error).toMatchObject({ condition: "amqp:not-found" });
  });

  it("speaks over WebSocket", async () => {
    const { port } = await startBroker();
    const connect = rhea.websocket_connect(WebSocket);
    const connection = connectRhea(port, {
      connection_details: connect(`ws://127.0.0.1:${port}`, ["amqp"], {}),
    } as never);
    const inbox = await openReceiver(connection, "q");
    const sender = await openSender(connection, "q");
    await send(sender, { body: "over WebSocket" });
    expect((await inbox.next()).message?.body).toBe("over WebSocket");
  });
});
