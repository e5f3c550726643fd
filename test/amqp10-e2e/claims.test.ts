import { describe, expect, it } from "vitest";
import type { Message, Sender } from "rhea";
import type { Login } from "../../core/access/access.ts";
import { connectRhea, type Inbox, once, openReceiver, openSender, send } from "../clients/rhea-client.ts";
import { runProgram, runs } from "../clients/program.ts";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { hmacToken, JWT_SECRET } from "../support/tokens.ts";

const PYTHON = "/usr/bin/python3";
const MISSING = runs(PYTHON, ["-c", "import proton"])
  ? ""
  : ` (skipped: there is no ${PYTHON} with the package proton)`;
const TOKENS = [`security.modules=[{control: sufficient, jwt: {secret: ${JWT_SECRET}}}]`, "amqp10.idle_timeout=0"];

function token(seconds: number, claims: object = {}): string {
  return hmacToken({ sub: "ann", exp: Math.floor(Date.now() / 1000) + seconds, ...claims });
}

const put = (body: string, more: Partial<Message> = {}): Message => ({
  body,
  message_id: "m-1",
  reply_to: "answers",
  application_properties: { operation: "put-token", type: "jwt", name: "amqp://broker" },
  ...more,
});

function logins({ server }: TestBroker): Login[] {
  return [...(server.broker.hosts.get("default")?.clients ?? [])].map(({ login }) => login);
}

interface Claims {
  readonly broker: TestBroker;
  readonly clock: LeapingClock;
  readonly connection: ReturnType<typeof connectRhea>;
  readonly sender: Sender;
  readonly inbox: Inbox;
}

/** Ann, logged in by a token for ten minutes, with links to and from $cbs. */
async function start(settings: readonly string[] = []): Promise<Claims> {
  const clock = new LeapingClock();
  const broker = await startBroker([...TOKENS, ...settings], { clock });
  const connection = connectRhea(broker.port, { username: "ann", password: token(600) });
  const inbox = await openReceiver(connection, { source: "$cbs", target: "answers" });
  const sender = await openSender(connection, "$cbs");
  return { broker, clock, connection, sender, inbox };
}

describe("a token put to $cbs in time", () => {
  it("lets the client stay, with the groups of the new one, and is answered", async () => {
    const { broker, clock, connection, sender, inbox } = await start();
    expect(await send(sender, put(token(1200, { groups: ["new"] })))).toBe("accepted");
    const { message } = await inbox.next();
    expect(message).toMatchObject({
      correlation_id: "m-1",
      to: "answers",
      application_properties: { "status-code": 202, "status-description": "Accepted" },
    });
    expect(logins(broker)).toMatchObject([{ user: "ann", groups: ["new"] }]);
    clock.leap(700_000);
    expect(await send(await openSender(connection, "q"), { body: "still here" })).toBe("accepted");
    const closed = once(connection, "connection_error");
    clock.leap(700_000);
    expect((await closed).error).toMatchObject({ condition: "amqp:unauthorized-access" });
  });

  it.each<[string, Partial<Message>]>([
    ["a symbol of another vendor", { application_properties: { operation: "put-token", type: "vendor.example:JWT" } }],
    ["amqp:jwt", { application_properties: { operation: "put-token", type: "amqp:jwt" } }],
    ["a number as message-id", { message_id: 77 }],
    ["no address for the answer", { reply_to: "" }],
  ])("is taken with %s", async (_what, more) => {
    const { sender, inbox } = await start();
    const message = put(token(1200), more);
    expect(await send(sender, message)).toBe("accepted");
    const answer = (await inbox.next()).message;
    expect(answer?.application_properties).toMatchObject({ "status-code": 202 });
    expect(Number(answer?.correlation_id)).toBe(Number(message.message_id));
  });

  it("is what the frames behind it wait for", async () => {
    const { broker, connection, sender, inbox } = await start([
      "access_rules=[{allow: [new]}, {allow: ['*'], action: [connect]}]",
    ]);
    sender.send(put(token(1200, { groups: ["new"] })));
    const other = await openSender(connection, "q");
    expect(await send(other, { body: "x" })).toBe("accepted");
    expect((await inbox.next()).message?.application_properties).toMatchObject({ "status-code": 202 });
    expect([...(broker.server.broker.hosts.get("default")?.queues.keys() ?? [])]).toEqual(["q"]);
  });
});

describe("a token put to $cbs that is not accepted", () => {
  it.each<[string, string, RegExp]>([
    ["has expired", token(-600), /expired/],
    ["is another user's", token(1200, { sub: "bob" }), /of user bob; expected ann/],
    ["is none", "secret", /no token/],
  ])("because it %s is told so, and changes nothing", async (_what, wrong, text) => {
    const { broker, clock, connection, sender, inbox } = await start();
    expect(await send(sender, put(wrong))).toBe("accepted");
    expect((await inbox.next()).message?.application_properties).toEqual({
      "status-code": 401,
      "status-description": expect.stringMatching(text),
    });
    expect(logins(broker)).toMatchObject([{ user: "ann" }]);
    const closed = once(connection, "connection_error");
    clock.leap(700_000);
    expect((await closed).error).toMatchObject({ condition: "amqp:unauthorized-access" });
  });

  it("ends the link it came by where there is none for the answer", async () => {
    const { broker, inbox, sender } = await start();
    inbox.receiver.close();
    await once(inbox.receiver, "receiver_close");
    const closed = once(sender, "sender_error");
    sender.send(put(token(-600)));
    expect((await closed).sender?.error).toMatchObject({ condition: "amqp:unauthorized-access" });
    expect(logins(broker)).toHaveLength(1);
  });

  it("may be guessed at a few times only", async () => {
    const { sender, inbox } = await start(["security.attempts.free=2", "security.attempts.delay=1m"]);
    const codes: unknown[] = [];
    for (let n = 0; n < 4; n++) {
      sender.send(put(`${token(1200)}${n}`));
      codes.push((await inbox.next()).message?.application_properties?.["status-code"]);
    }
    expect(codes).toEqual([401, 401, 429, 429]);
  });

  it.each<[string, Message]>([
    ["says another operation", put("x", { application_properties: { operation: "delete-token", type: "jwt" } })],
    ["says no operation", put("x", { application_properties: {} })],
    ["is of another kind", put("x", { application_properties: { operation: "put-token", type: "amqp:swt" } })],
    ["has no text", { ...put("x"), body: { a: 1 } }],
  ])("because it %s is rejected", async (_what, message) => {
    const { sender, broker } = await start();
    expect(await send(sender, message)).toBe("rejected");
    expect(logins(broker)).toHaveLength(1);
  });
});

it("answers of $cbs wait for credit, and not without end", async () => {
  const { connection, sender } = await start();
  const slow = await openReceiver(connection, { source: "$cbs", target: "slow", credit_window: 0 });
  for (let n = 0; n < 3; n++) sender.send(put(token(1200), { reply_to: "slow" }));
  await send(await openSender(connection, "q"), { body: "x" });
  expect(slow.contexts).toHaveLength(0);
  slow.receiver.add_credit(2);
  await slow.next();
  await slow.next();
  const ended = once(slow.receiver, "receiver_error");
  for (let n = 0; n < 20; n++) sender.send(put(token(1200), { reply_to: "slow" }));
  expect((await ended).receiver?.error).toMatchObject({ condition: "amqp:resource-limit-exceeded" });
  expect(slow.contexts).toHaveLength(2);
});

it("$cbs is a queue like any other where no tokens are taken", async () => {
  const broker = await startBroker();
  const connection = connectRhea(broker.port);
  expect(await send(await openSender(connection, "$cbs"), { body: "x" })).toBe("accepted");
  expect([...(broker.server.broker.hosts.get("default")?.queues.keys() ?? [])]).toEqual(["$cbs"]);
});

describe.skipIf(MISSING !== "")(`Qpid Proton${MISSING}`, () => {
  it("puts tokens to $cbs", async () => {
    const broker = await startBroker(TOKENS);
    const args = [String(broker.port), token(600), token(1200, { groups: ["new"] }), token(-600)];
    expect(await runProgram(PYTHON, "proton-claims.py", args)).toEqual([
      { status: 202, id: "1" },
      { status: 401, id: "2" },
    ]);
    await eventually(() => expect(logins(broker)).toEqual([]));
  });
});
