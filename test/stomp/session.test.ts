import { describe, expect, it } from "vitest";
import type { Version } from "../../protocols/stomp/escape.ts";
import { type Connection, delivery, frameText, stored, World } from "./fake-core.ts";

/** The message of the ERROR frame with which a session ended. */
function failure(connection: Connection): string {
  const frame = connection.only();
  expect(frame.command).toBe("ERROR");
  expect(frame.headers["content-type"]).toBe("text/plain;charset=utf-8");
  expect(frame.body).not.toBe("");
  expect(connection.peer.closedFor).toBeDefined();
  return frame.headers.message ?? "";
}

describe("a STOMP connection", () => {
  it.each([
    ["1.0,1.1,1.2", "1.2"],
    ["1.1,1.0", "1.1"],
    ["1.0", "1.0"],
    ["1.3, 1.1", "1.1"],
  ])("that accepts %s speaks %s", async (accepted, version) => {
    const connection = new World().connection();
    connection.send(`CONNECT\naccept-version:${accepted}\n\n\0`);
    await connection.login();
    const { command, headers } = connection.only();
    expect(command).toBe("CONNECTED");
    expect(headers).toMatchObject({ version, session: "default-1", server: "delos/9.9 harbour", "user-name": "joe" });
  });

  it("speaks 1.0 when no version is named, and understands STOMP for CONNECT", async () => {
    const connection = new World().connection();
    connection.send("\n\r\nSTOMP\n\n\0");
    await connection.login();
    expect(connection.only().headers).toMatchObject({ version: "1.0" });
    expect(connection.peer.identity).toEqual({ protocol: "STOMP 1.0", user: "joe" });
  });

  it("with no common version gets the list of versions", () => {
    const connection = new World().connection();
    connection.send("CONNECT\naccept-version:2.0\n\n\0");
    expect(connection.only().headers).toMatchObject({
      version: "1.0,1.1,1.2",
      message: expect.stringContaining("2.0"),
    });
    expect(connection.peer.closedFor).toBeDefined();
  });

  it("hands over user and password as they are, backslashes included", () => {
    const world = new World();
    world.connection().send("CONNECT\naccept-version:1.2\nlogin:DOM\\name\npasscode:a:b\\n\n\n\0");
    expect(world.logins).toEqual([{ user: "DOM\\name", password: "a:b\\n" }]);
  });

  it("is not listened to while the login is under way, and loses nothing that came meanwhile", async () => {
    const connection = new World().connection();
    connection.send("CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/queue/a\n\n1\0SEND\ndest");
    expect(connection.peer.paused).toBe(true);
    connection.send("ination:/queue/a\n\n2\0");
    await connection.login();
    expect(connection.client.published.map(({ message }) => message.body.toString())).toEqual(["1", "2"]);
    expect(connection.peer.paused).toBe(false);
  });

  it("that fails to log in is told why and closed", async () => {
    const connection = new World().connection();
    connection.send("CONNECT\npasscode:wrong\n\n\0");
    await connection.login();
    expect(failure(connection)).toBe("wrong password");
  });

  it("that goes away during its login leaves nothing behind", async () => {
    const world = new World();
    const connection = world.connection();
    connection.send("CONNECT\n\n\0");
    connection.session.closed("gone");
    await connection.login();
    expect(world.clients).toEqual([]);
    expect(connection.raw().length).toBe(0);
  });

  it.each([
    ["CONNECT\naccept-version:1.2\nhost:nowhere\n\n\0", /no virtual host "nowhere"/],
    ["CONNECT\naccept-version:1.2\nheart-beat:1\n\n\0", /heart-beat:1 is not/],
    ["SEND\ndestination:/queue/a\n\n\0", /The first frame is SEND/],
    ["GARBAGE\n", /Unknown command "GARBAGE"/],
  ])("that begins with %j is refused", (text, reason) => {
    const connection = new World().connection();
    connection.send(text);
    expect(failure(connection)).toMatch(reason);
  });

  it("that says nothing is closed after a while, and only then", () => {
    const world = new World();
    const connection = world.connection();
    world.clock.advance(9_999);
    expect(connection.peer.closedFor).toBeUndefined();
    world.clock.advance(1);
    expect(failure(connection)).toMatch(/No CONNECT frame within 10 s \(stomp\.connect_timeout\)/);
  });

  it("that has connected is not closed by the connect timeout", async () => {
    const world = new World();
    const connection = await world.connect();
    world.clock.advance(60_000);
    expect(connection.peer.closedFor).toBeUndefined();
  });

  it("is told when the broker stops", async () => {
    const connection = await new World().connect();
    connection.session.shutdown("the broker is stopping");
    expect(failure(connection)).toBe("the broker is stopping");
    expect(connection.client.closed).toBe(true);
  });

  it("that the broker wants gone is told why, at the end of the turn", async () => {
    const world = new World();
    const connection = await world.connect();
    connection.client.evict("too slow");
    expect(connection.client.closed).toBe(false);
    world.clock.settle();
    expect(failure(connection)).toBe("too slow");
  });

  it("ends in the core when it is closed", async () => {
    const connection = await new World().connect();
    connection.session.closed("reset");
    expect(connection.client.closed).toBe(true);
  });
});

describe("frames of a STOMP session", () => {
  it.each([
    ["CONNECT\n\n\0", /second CONNECT/],
    ["MESSAGE\n\n\0", /MESSAGE is a frame of servers/],
    ["BOO\n\n\0", /Unknown command "BOO"/],
    ["SEND\n\n\0", /SEND frame has no destination/],
    ["SEND\ndestination:/queue/forbidden\n\n\0", /joe may not/],
    ["SEND\ndestination:/queue/a\npriority:10\n\n\0", /priority:10 is not 0 to 9/],
    ["SEND\ndestination:/queue/a\nretain:maybe\n\n\0", /retain:maybe/],
    ["SEND\ndestination:/queue/a\nretain:set\n\n\0", /Only topics retain/],
    ["SEND\ndestination:/queue/a\nttl:x\n\n\0", /ttl:x is not/],
    ["SEND\ndestination:/queue/a\ntransaction:t\n\n\0", /SEND names transaction "t", which was not begun/],
    ["SUBSCRIBE\nid:1\n\n\0", /SUBSCRIBE frame has no destination/],
    ["SUBSCRIBE\ndestination:/queue/a\n\n\0", /SUBSCRIBE frame has no id/],
    ["SUBSCRIBE\nid:1\ndestination:/queue/a\nack:maybe\n\n\0", /ack:maybe is none of/],
    ["SUBSCRIBE\nid:1\ndestination:/queue/a\ncredit:x\n\n\0", /credit:x is not/],
    ["SUBSCRIBE\nid:1\ndestination:/queue/a\npersistent:true\n\n\0", /durable subscription is to topics/],
    ["UNSUBSCRIBE\nid:7\n\n\0", /no subscription "7"/],
    ["ACK\nid:1-1\n\n\0", /ACK of an unknown message: id:1-1/],
    ["ACK\nid:x\n\n\0", /unknown message: id:x/],
    ["ACK\nmessage-id:1\n\n\0", /ACK frame has no id/],
    ["BEGIN\n\n\0", /BEGIN frame has no transaction/],
    ["COMMIT\ntransaction:t\n\n\0", /COMMIT names transaction "t"/],
    ["ABORT\ntransaction:t\n\n\0", /ABORT names transaction "t"/],
    ["BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:t\n\n\0", /Transaction "t" was begun already/],
  ])("%j is refused", async (text, reason) => {
    const connection = await new World().connect();
    connection.send(text);
    expect(failure(connection)).toMatch(reason);
    expect(connection.client.closed).toBe(true);
  });

  it("that is refused had its receipt named in the ERROR, and nothing after it is handled", async () => {
    const connection = await new World().connect();
    connection.send("BEGIN\nreceipt:r\\c1\n\n\0SEND\ndestination:/queue/a\n\n\0");
    expect(connection.only().headers["receipt-id"]).toBe("r:1");
    expect(connection.client.published).toEqual([]);
  });

  it("are all confirmed by a receipt, in order, once the core says so", async () => {
    const connection = await new World().connect();
    connection.client.holdsConfirms = true;
    connection.send(
      "SUBSCRIBE\nid:1\ndestination:/queue/a\nreceipt:1\n\n\0BEGIN\ntransaction:t\nreceipt:2\n\n\0" +
        "SEND\ndestination:/queue/a\nreceipt:\\\\3\n\n\0COMMIT\ntransaction:t\nreceipt:4\n\n\0UNSUBSCRIBE\nid:1\nreceipt:5\n\n\0",
    );
    expect(connection.read()).toEqual([]);
    connection.client.confirmAll();
    const receipts = connection.read().map(({ command, headers }) => [command, headers]);
    expect(receipts).toEqual(["1", "2", "\\3", "4", "5"].map((id) => ["RECEIPT", [["receipt-id", id]]]));
  });

  it("end with DISCONNECT: its receipt is written before the connection is closed", async () => {
    const connection = await new World().connect();
    connection.client.holdsConfirms = true;
    const subscription = connection.subscribe("id:1\ndestination:/queue/a\nack:client");
    connection.send("DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/queue/a\n\n\0");
    expect(subscription.closed).toBe(true);
    expect(connection.peer.closedFor).toBeUndefined();
    connection.client.confirmAll();
    expect(connection.only()).toMatchObject({ command: "RECEIPT", headers: { "receipt-id": "bye" } });
    expect(connection.peer.closedFor).toBe("the client disconnected");
    expect(connection.client.published).toEqual([]);
  });

  it("wait while the core is blocked, and are taken up where they were left", async () => {
    const connection = await new World().connect();
    connection.client.blocks = true;
    connection.send("SEND\ndestination:/queue/a\n\n1\0SEND\ndestination:/queue/a\n\n2\0");
    expect(connection.client.published.length).toBe(1);
    expect(connection.peer.paused).toBe(true);
    connection.send("SEND\ndestination:/queue/a\n\n3\0");
    connection.client.unblock();
    expect(connection.client.published.length).toBe(2);
    expect(connection.peer.paused).toBe(true);
    connection.client.blocks = false;
    connection.client.unblock();
    expect(connection.client.published.map(({ message }) => message.body.toString())).toEqual(["1", "2", "3"]);
    expect(connection.peer.paused).toBe(false);
  });

  it("wait while a client asks for receipts that it does not read", async () => {
    const connection = await new World().connect("1.2", 100);
    const frames = "BEGIN\ntransaction:t\nreceipt:r\n\n\0ABORT\ntransaction:t\n\n\0".repeat(2000);
    connection.send(frames);
    expect(connection.peer.paused).toBe(true);
    const first = connection.read().length;
    expect(first).toBeLessThan(1010);
    connection.session.drained();
    expect(first + connection.read().length).toBe(2000);
    expect(connection.peer.paused).toBe(false);
  });

  it("in too many subscriptions or transactions are refused by the setting's name", async () => {
    const first = await new World({ maxSubscriptions: 1 }).connect();
    first.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0SUBSCRIBE\nid:2\ndestination:/queue/a\n\n\0");
    expect(failure(first)).toMatch(/stomp\.max_subscriptions/);
    const second = await new World({ maxTransactions: 1 }).connect();
    second.send("BEGIN\ntransaction:1\n\n\0BEGIN\ntransaction:2\n\n\0");
    expect(failure(second)).toMatch(/stomp\.max_transactions/);
  });
});

async function sent(text: string, version: Version = "1.2") {
  const world = new World();
  const connection = await world.connect(version);
  connection.send(text);
  const published = connection.client.published[0];
  if (published === undefined) throw new Error(connection.raw().toString());
  return { world, connection, published, text: frameText(published.message) };
}

describe("a STOMP SEND", () => {
  it("is stored with an id in front and without what was only for the broker", async () => {
    const { text, published } = await sent(
      "SEND\nreceipt:1\ndestination:/queue/a\nfoo:bar\nack:9\nsubscription:x\nredelivered:true\nJMSXUserID:root\nack:10\n\nhello\0",
    );
    expect(text).toBe("message-id:default-1-1\ndestination:/queue/a\nfoo:bar\n\nhello\0");
    expect(published.message.body.toString()).toBe("hello");
    expect(published.addresses).toEqual(["queue a"]);
  });

  it("keeps the sender's own message-id, first of all", async () => {
    const { text } = await sent("SEND\ndestination:/queue/a\nmessage-id:mine\nfoo:bar\n\n\0");
    expect(text).toBe("message-id:mine\ndestination:/queue/a\nfoo:bar\n\n\0");
  });

  it("keeps its content-length and a body with NUL", async () => {
    const { text } = await sent("SEND\ndestination:/queue/a\ncontent-length:3\n\na\0b\0");
    expect(text).toBe("message-id:default-1-1\ndestination:/queue/a\ncontent-length:3\n\na\0b\0");
  });

  it.each<[Version, string, string]>([
    ["1.0", "SEND\r\ndestination: /queue/a\r\npath:c:\\new\r\n\r\nx\0", "destination:/queue/a\npath:c:\\\\new\n\nx\0"],
    ["1.1", "SEND\ndestination:/queue/a\nk:a\\nb\r\n\nx\0", "destination:/queue/a\nk:a\\nb\\r\n\nx\0"],
    ["1.2", "SEND\r\ndestination:/queue/a\r\nk:\\r\r\n\r\nx\0", "destination:/queue/a\nk:\\r\n\nx\0"],
  ])("of %s is stored as 1.2 spells it", async (version, frame, expected) => {
    const { text } = await sent(frame, version);
    expect(text).toBe(`message-id:default-1-1\n${expected}`);
  });

  it.each([
    ["a.b", "/queue/a.b"],
    ["topic://x", "/topic/x"],
    ["/exchange/amq.topic/k", "/topic/k"],
    ["/temp-queue/t", "/queue/temp.default-1.t"],
  ])("to %s is stored as one to %s", async (destination, expected) => {
    const { text } = await sent(`SEND\ndestination:${destination}\n\n\0`);
    expect(text).toBe(`message-id:default-1-1\ndestination:${expected}\n\n\0`);
  });

  it.each([10, 100_000])(
    "to a composite is a message of %i bytes for each part, which names that part",
    async (size) => {
      const connection = await new World().connect();
      const body = "x".repeat(size);
      const text = `SEND\ndestination:/queue/a,/topic/b\nreceipt:1\nk:v\n\n${body}\0`;
      for (let at = 0; at < text.length; at += 30_000) connection.send(text.slice(at, at + 30_000));
      expect(connection.client.published.map(({ addresses }) => addresses)).toEqual([["queue a"], ["topic b"]]);
      expect(connection.client.published.map(({ message }) => frameText(message))).toEqual([
        `message-id:default-1-1\ndestination:/queue/a\nk:v\n\n${body}\0`,
        `message-id:default-1-2\ndestination:/topic/b\nk:v\n\n${body}\0`,
      ]);
    },
  );

  it("to a composite with a forbidden part goes nowhere", async () => {
    const connection = await new World().connect();
    connection.send("SEND\ndestination:/queue/a,/queue/forbidden\n\n\0");
    expect(failure(connection)).toMatch(/joe may not/);
    expect(connection.client.published).toEqual([]);
  });

  it("with a temporary reply-to names its global address", async () => {
    const { text } = await sent("SEND\ndestination:/queue/a\nreply-to:/temp-queue/r\n\n\0");
    expect(text).toBe("message-id:default-1-1\nreply-to:/queue/temp.default-1.r\ndestination:/queue/a\n\n\0");
  });

  it("says durability, priority and expiry", async () => {
    const { world, published, text } = await sent(
      "SEND\ndestination:/queue/a\npersistent:true\npriority:7\nttl:500\n\n\0",
    );
    const now = world.clock.now();
    expect(published.message).toMatchObject({ durable: true, priority: 7, expiresAt: now + 500, receivedAt: now });
    expect(text).toContain("persistent:true\npriority:7\n");
    const plain = await sent("SEND\ndestination:/queue/a\npersistent:false\n\n\0");
    expect(plain.published.message).toMatchObject({ durable: false, priority: 4, expiresAt: 0 });
    const expires = await sent("SEND\ndestination:/queue/a\nexpires:1234\nttl:5\n\n\0");
    expect(expires.published.message.expiresAt).toBe(1234);
    expect(expires.text).not.toContain("expires");
  });

  it("does not inherit from the one before", async () => {
    const connection = await new World().connect();
    connection.send(
      "SEND\ndestination:/queue/a\npersistent:true\npriority:9\nttl:5\n\n\0SEND\ndestination:/topic/b\n\n\0",
    );
    const second = connection.client.published[1]?.message;
    expect(second).toMatchObject({ durable: false, priority: 4, expiresAt: 0 });
    expect(second?.address.kind).toBe("topic");
  });

  it("sets and removes the retained message", async () => {
    const { connection, published } = await sent("SEND\ndestination:/topic/a\nretain:set\n\nx\0");
    connection.send("SEND\ndestination:/topic/a\nretain:remove\n\n\0");
    expect(connection.client.retained).toEqual([published.message, undefined]);
  });

  it("looks a destination up once", async () => {
    const connection = await new World().connect();
    for (let round = 0; round < 3; round++) {
      for (let queue = 0; queue < 40; queue++) connection.send(`SEND\ndestination:/queue/${queue}\n\n\0`);
    }
    expect(connection.client.routes).toBe(40);
    expect(connection.client.published.map(({ addresses }) => addresses[0])).toEqual(
      Array.from({ length: 120 }, (_, at) => `queue ${at % 40}`),
    );
  });

  it.each([100, 5_000, 100_000])("with a body of %i bytes that comes in pieces is stored whole", async (size) => {
    const connection = await new World().connect();
    const body = "abcdefghij".repeat(size / 10);
    const text = `SEND\ndestination:/queue/a\nreceipt:1\n\n${body}\0`.repeat(2);
    for (let at = 0; at < text.length; at += 997) connection.send(text.slice(at, at + 997));
    const expected = ["1", "2"].map((n) => `message-id:default-1-${n}\ndestination:/queue/a\n\n${body}\0`);
    expect(connection.client.published.map(({ message }) => frameText(message))).toEqual(expected);
    expect(connection.client.published[0]?.message.body.toString()).toBe(body);
    expect(connection.read().length).toBe(2);
  });

  it("with a large body in one chunk is stored whole, in a buffer of its own", async () => {
    const body = "x".repeat(50_000);
    const { text, published } = await sent(
      `SEND\ndestination:/queue/a\ntransaction-id:7\nreceipt:${"r".repeat(100)}\n\n${body}\0SEND\nd`,
    );
    expect(text).toBe(`message-id:default-1-1\ndestination:/queue/a\ntransaction-id:7\n\n${body}\0`);
    expect(published.message.data.length).toBe(published.message.size);
  });

  it("in a transaction is given to the core with it", async () => {
    const connection = await new World().connect();
    connection.send("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\n\0");
    const [transaction] = connection.client.transactions;
    expect(connection.client.published[0]?.transaction).toBe(transaction);
    connection.send("COMMIT\ntransaction:t\n\n\0");
    expect(transaction?.ended).toBe("committed");
    connection.send("BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0");
    expect(connection.client.transactions[1]?.ended).toBe("aborted");
  });
});

async function beating(headers: string, options = {}) {
  const world = new World(options);
  const connection = world.connection();
  connection.send(`CONNECT\naccept-version:1.2\n${headers}\n\n\0`);
  await connection.login();
  expect(connection.only().headers["heart-beat"]).toBe("10000,10000");
  return { world, connection };
}

describe("heart-beats", () => {
  it("are sent when nothing else was", async () => {
    const { world, connection } = await beating("heart-beat:0,20000");
    let silence = 0;
    for (let ms = 0; ms < 200_000; ms += 1000) {
      world.clock.advance(1000);
      silence = connection.raw().length > 0 ? 0 : silence + 1000;
      expect(silence).toBeLessThan(20_000);
    }
  });

  it("are not sent to who did not ask for them", async () => {
    const { world, connection } = await beating("heart-beat:0,0");
    world.clock.advance(1_000_000);
    expect(connection.raw().length).toBe(0);
    expect(connection.peer.closedFor).toBeUndefined();
  });

  it("that stay away end the session, with what was agreed on in the text", async () => {
    const { world, connection } = await beating("heart-beat:5000,0");
    world.clock.advance(14_999);
    expect(connection.peer.closedFor).toBeUndefined();
    world.clock.advance(1);
    expect(failure(connection)).toBe("no heart-beat for 15 s (asked for every 10 s)");
  });

  it("that come keep the session", async () => {
    const { world, connection } = await beating("heart-beat:10000,0");
    for (let beat = 0; beat < 30; beat++) {
      world.clock.advance(10_000);
      connection.send("\n");
    }
    expect(connection.peer.closedFor).toBeUndefined();
  });

  it("are not missed while the broker itself does not read", async () => {
    const { world, connection } = await beating("heart-beat:10000,0");
    connection.client.blocks = true;
    connection.send("SEND\ndestination:/queue/a\n\n\0");
    world.clock.advance(300_000);
    connection.client.blocks = false;
    connection.client.unblock();
    world.clock.advance(14_000);
    expect(connection.peer.closedFor).toBeUndefined();
    world.clock.advance(20_000);
    expect(failure(connection)).toMatch(/no heart-beat for/);
  });
});

describe("a STOMP subscription", () => {
  it("asks the core for what its headers say", async () => {
    const connection = await new World().connect();
    const plain = connection.subscribe("id:0\ndestination:/queue/a");
    expect(plain.options).toMatchObject({ settling: false, credit: { messages: 500, bytes: 5000 }, noLocal: false });
    const full = connection.subscribe(
      "id:1\ndestination:/topic/a.*\nack:client\nselector:a = 1\npersistent:true\ncredit:10,0,false\nno-local:true",
    );
    expect(full.options).toMatchObject({
      settling: true,
      durable: "1",
      credit: { messages: 10, bytes: 0 },
      noLocal: true,
    });
    expect(full.options.selector?.text).toBe("a = 1");
    expect(full.options.patterns.map(({ text }) => text)).toEqual(["a.*"]);
    expect(full.autoRefill).toBe(false);
  });

  it.each([
    ["credit:7", { messages: 7, bytes: 5000 }],
    ["prefetch-count:9", { messages: 9, bytes: 0 }],
    ["activemq.prefetchSize:1", { messages: 1, bytes: 0 }],
    ["prefetch-count:0", { messages: 500, bytes: 5000 }],
  ])("with %s has that credit", async (header, credit) => {
    const connection = await new World().connect();
    expect(connection.subscribe(`id:0\ndestination:/queue/a\n${header}`).options.credit).toMatchObject(credit);
  });

  it("can have a durable name of its own, be attached by name, and be deleted", async () => {
    const connection = await new World().connect();
    const named = connection.subscribe("id:0\ndestination:/topic/a\nactivemq.subscriptionName:mine");
    expect(named.options.durable).toBe("mine");
    expect(connection.subscribe("id:1\ndestination:/dsub/x").options).toMatchObject({
      attachDurable: "x",
      patterns: [],
    });
    connection.send("UNSUBSCRIBE\nid:0\npersistent:true\n\n\0UNSUBSCRIBE\nid:other\npersistent:true\n\n\0");
    expect(named.closed).toBe(true);
    expect(connection.client.deleted).toEqual(["mine", "other"]);
  });

  it("may not have the id of another one, but may have it after that", async () => {
    const connection = await new World().connect();
    connection.subscribe("id:0\ndestination:/queue/a");
    connection.send("UNSUBSCRIBE\nid:0\n\n\0");
    connection.subscribe("id:0\ndestination:/queue/a");
    connection.send("SUBSCRIBE\nid:0\ndestination:/queue/b\n\n\0");
    expect(failure(connection)).toMatch(/Subscription "0" exists already/);
  });

  it("of 1.0 is known by its destination when it has no id", async () => {
    const connection = await new World().connect("1.0");
    const { consumer, options } = connection.subscribe("destination:/queue/a\nack:client");
    expect(options.settling).toBe(true);
    consumer.deliver(stored("message-id:m\ndestination:/queue/a"), delivery(), 0);
    expect(connection.only().headers).toEqual({ "message-id": "m", destination: "/queue/a" });
    connection.send("UNSUBSCRIBE\ndestination:/queue/a\n\n\0");
    expect(connection.peer.closedFor).toBeUndefined();
  });

  it("that the broker ends, ends the session at the end of the turn", async () => {
    const world = new World();
    const connection = await world.connect();
    connection.subscribe("id:0\ndestination:/queue/a").consumer.cancelled("queue a was deleted");
    world.clock.settle();
    expect(failure(connection)).toBe('Subscription "0" was ended: queue a was deleted');
  });
});
