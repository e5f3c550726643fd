import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Message, TRAIT } from "../../core/message.ts";
import type { Version } from "../../protocols/stomp/escape.ts";
import { type Connection, frameText, stored, World } from "./fake-core.ts";

async function sent(headers: string, version: Version = "1.2") {
  const world = new World();
  const connection = await world.connect(version);
  connection.send(`SEND\ndestination:/topic/a\n${headers}\n\nbody\0`);
  const published = connection.client.published[0];
  if (published === undefined) throw new Error(connection.raw().toString());
  const { message } = published;
  return { connection, message, traits: message.traits, content: message.content, now: world.clock.now() };
}

async function refusal(headers: string): Promise<string> {
  const connection = await new World().connect();
  connection.send(`SEND\ndestination:/topic/a\n${headers}\n\nbody\0`);
  expect(connection.client.published).toEqual([]);
  expect(connection.client.retained).toEqual([]);
  return refused(connection);
}

function refused(connection: Connection): string {
  const { command, headers } = connection.only();
  expect(command).toBe("ERROR");
  return headers.message ?? "";
}

describe("a STOMP SEND of a message group", () => {
  it.each(["JMSXGroupID:g", "message_group:g", "JMSXGroupID:g\nmessage_group:g"])("is one by %j", async (headers) => {
    const { traits, content } = await sent(`${headers}\nJMSXGroupSeq:-1`);
    expect(traits).toBe(TRAIT.grouped);
    expect(content).toMatchObject({ groupId: "g", groupSequence: -1 });
    expect(content.properties.size).toBe(0);
  });

  it("is none by a sequence alone", async () => {
    expect((await sent("JMSXGroupSeq:7")).traits).toBe(0);
  });

  it.each([
    ["message_group:", /^message_group is empty$/],
    ["JMSXGroupID:", /^JMSXGroupID is empty$/],
    ["JMSXGroupID:a\nmessage_group:b", /JMSXGroupID:a and message_group:b do not say the same/],
    ["JMSXGroupSeq:x", /JMSXGroupSeq:x is not a whole number of 32 bits/],
    ["JMSXGroupSeq:", /JMSXGroupSeq: is not/],
    ["JMSXGroupSeq:1.5", /JMSXGroupSeq:1\.5 is not/],
    ["JMSXGroupSeq:2147483648", /JMSXGroupSeq:2147483648 is not/],
  ])("with %j is refused", async (headers, reason) => {
    expect(await refusal(headers)).toMatch(reason);
  });
});

describe("a STOMP SEND with an id against duplicates", () => {
  it.each(["duplicate-id:a\\cb", "_AMQ_DUPL_ID:a\\cb"])("has it by %j, and it travels", async (header) => {
    const { traits, content, message } = await sent(header);
    expect(traits).toBe(TRAIT.identified);
    expect(content.duplicateId).toBe("a:b");
    expect(content.properties.size).toBe(0);
    expect(frameText(message)).toContain(`\n${header}\n`);
  });

  it.each([
    ["duplicate-id:", /^duplicate-id is empty$/],
    ["_AMQ_DUPL_ID:", /^_AMQ_DUPL_ID is empty$/],
    ["_AMQ_DUPL_ID:a\nduplicate-id:b", /duplicate-id:b and _AMQ_DUPL_ID:a do not say the same/],
  ])("with %j is refused", async (headers, reason) => {
    expect(await refusal(headers)).toMatch(reason);
  });
});

const NOTHING = { deliverAt: undefined, periodMs: undefined, repeats: 0, cron: undefined };

describe("a STOMP SEND with a time of delivery", () => {
  it("counts a delay from when the broker took it", async () => {
    const { now, ...delayed } = await sent("delay:1500");
    expect(delayed.traits).toBe(TRAIT.timed);
    expect(delayed.content.timing).toEqual({ ...NOTHING, deliverAt: now + 1500 });
    expect((await sent("AMQ_SCHEDULED_DELAY:1500")).content.timing).toEqual({ ...NOTHING, deliverAt: now + 1500 });
    expect((await sent("deliver-at:99999999999999")).content.timing).toEqual({ ...NOTHING, deliverAt: 99999999999999 });
  });

  it("may be repeated, without end too", async () => {
    const { now, content } = await sent("delay:10\nAMQ_SCHEDULED_PERIOD:500\nAMQ_SCHEDULED_REPEAT:9");
    expect(content.timing).toEqual({ ...NOTHING, deliverAt: now + 10, periodMs: 500, repeats: 9 });
    const endless = await sent("AMQ_SCHEDULED_PERIOD:500\nAMQ_SCHEDULED_REPEAT:-1");
    expect(endless.traits).toBe(TRAIT.timed);
    expect(endless.content.timing).toEqual({ ...NOTHING, periodMs: 500, repeats: -1 });
  });

  it("may follow a cron expression, which goes before ActiveMQ's delay", async () => {
    const { traits, content } = await sent(
      "AMQ_SCHEDULED_CRON:0 * * * *\nAMQ_SCHEDULED_DELAY:1000\nAMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:9",
    );
    expect(traits).toBe(TRAIT.timed);
    expect(content.timing).toEqual({ deliverAt: undefined, periodMs: 1000, repeats: 9, cron: "0 * * * *" });
  });

  it.each(["delay:0", "deliver-at:1", "AMQ_SCHEDULED_DELAY:0", "AMQ_SCHEDULED_PERIOD:5", "AMQ_SCHEDULED_REPEAT:0"])(
    "that is now or was is an ordinary one: %s",
    async (header) => {
      const { traits, content } = await sent(header);
      expect([traits, content.timing]).toEqual([0, undefined]);
    },
  );

  it("keeps its headers in the stored frame, and out of the properties", async () => {
    const { message, content } = await sent("delay:5\nk:v");
    expect(frameText(message)).toContain("delay:5\nk:v\n");
    expect([...content.properties.keys()]).toEqual(["k"]);
  });

  it.each([
    ["delay:-1", /^delay:-1 is not a number of milliseconds, 0 or more$/],
    ["delay:soon", /delay:soon is not/],
    ["delay:", /delay: is not/],
    ["delay:1e3", /delay:1e3 is not/],
    ["delay:1234567890123456", /delay:1234567890123456 is not/],
    ["deliver-at:-5", /deliver-at:-5 is not/],
    ["AMQ_SCHEDULED_DELAY:x", /AMQ_SCHEDULED_DELAY:x is not/],
    ["AMQ_SCHEDULED_PERIOD:-1", /AMQ_SCHEDULED_PERIOD:-1 is not/],
    ["AMQ_SCHEDULED_PERIOD:1\nAMQ_SCHEDULED_REPEAT:-2", /AMQ_SCHEDULED_REPEAT:-2 is not .* or -1 without end/],
    ["AMQ_SCHEDULED_REPEAT:3", /AMQ_SCHEDULED_REPEAT:3 without a time between .* AMQ_SCHEDULED_PERIOD above 0/],
    ["AMQ_SCHEDULED_REPEAT:-1\nAMQ_SCHEDULED_PERIOD:0", /AMQ_SCHEDULED_REPEAT:-1 without a time/],
    ["AMQ_SCHEDULED_CRON: ", /AMQ_SCHEDULED_CRON is empty/],
    ["delay:1\ndeliver-at:2", /^delay and deliver-at both say when/],
    ["delay:1\nAMQ_SCHEDULED_DELAY:1", /^delay and AMQ_SCHEDULED_DELAY both say when/],
    ["deliver-at:1\nAMQ_SCHEDULED_CRON:* * * * *", /^deliver-at and AMQ_SCHEDULED_CRON both say when/],
    ["retain:set\ndelay:5", /^retain:set cannot be delayed/],
    ["retain:remove\nAMQ_SCHEDULED_CRON:* * * * *", /^retain:remove cannot be delayed/],
  ])("that says %j is refused", async (headers, reason) => {
    expect(await refusal(headers)).toMatch(reason);
  });

  it("may be retained when it is not delayed at all", async () => {
    const { connection } = await sent("retain:set\ndelay:0");
    expect(connection.client.retained.length).toBe(1);
  });

  it("goes to each part of a composite at the same time", async () => {
    const world = new World();
    const connection = await world.connect();
    connection.send("SEND\ndestination:/queue/a,/topic/b\ndelay:70\nJMSXGroupID:g\n\n\0");
    const found = connection.client.published.map(({ message }) => [message.traits, message.content.timing?.deliverAt]);
    const expected = [TRAIT.timed | TRAIT.grouped, world.clock.now() + 70];
    expect(found).toEqual([expected, expected]);
  });

  it("leaves nothing of it to the next one", async () => {
    const connection = await new World().connect();
    connection.send("SEND\ndestination:/queue/a\ndelay:5\n\n\0".concat("SEND\ndestination:/queue/a\n\n\0".repeat(2)));
    connection.send("SEND\ndestination:/queue/a\npersistent:true\n\n\0");
    expect(connection.client.published.map(({ message }) => message.traits)).toEqual([TRAIT.timed, 0, 0, 0]);
  });
});

/** The same message from its bytes alone, as a store gives it back. */
function reopened(message: Message): Message {
  const data = Buffer.from(message.data.subarray(message.start, message.end));
  const bodyStart = message.bodyStart - message.start;
  const { address, durable, priority, expiresAt, receivedAt } = message;
  const envelope = { address, durable, priority, expiresAt, receivedAt };
  return new Message(message.format, envelope, data, 0, data.length, bodyStart, message.bodyEnd - message.start);
}

const NOT_A_BLANK = /^\S/;

describe("the time of delivery of a STOMP message", () => {
  it("is the same from the stored bytes as when it was sent, whatever the version and the blanks", async () => {
    const times = fc.record(
      {
        when: fc.tuple(fc.constantFrom("delay", "deliver-at", "AMQ_SCHEDULED_DELAY"), fc.nat(1e9)),
        repeat: fc.tuple(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: -1, max: 1000 })),
        group: fc.string({ minLength: 1 }).filter((text) => NOT_A_BLANK.test(text) && !/[:\\\r\n\0]|\s$/.test(text)),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        times,
        fc.constantFrom<Version>("1.0", "1.1", "1.2"),
        fc.constantFrom("\n", "\r\n"),
        async ({ when, repeat, group }, version, eol) => {
          const lines = ["destination:/topic/a"];
          if (when !== undefined) lines.push(`${when[0]}:${when[1]}`);
          if (repeat !== undefined)
            lines.push(`AMQ_SCHEDULED_PERIOD:${repeat[0]}`, `AMQ_SCHEDULED_REPEAT:${repeat[1]}`);
          // 1.1 takes the CR for a part of the value.
          if (group !== undefined && version !== "1.1") lines.push(`message_group:${group}`);
          const world = new World();
          const connection = await world.connect(version);
          const destination = version === "1.1" ? "destination:/topic/a\n" : "";
          connection.send(`SEND\n${destination}${lines.map((line) => `${line}${eol}`).join("")}${eol}x\0`);
          const message = connection.client.published[0]?.message;
          if (message === undefined) throw new Error(connection.raw().toString());
          const now = world.clock.now();
          const deliverAt = when === undefined ? undefined : when[0] === "deliver-at" ? when[1] : now + when[1];
          const repeats = repeat?.[1] ?? 0;
          const timed = repeats !== 0 || (deliverAt ?? 0) > now;
          const expected = { ...NOTHING, deliverAt, repeats, periodMs: repeats === 0 ? undefined : repeat?.[0] };
          expect(message.content.timing).toEqual(timed ? expected : undefined);
          expect((message.traits & TRAIT.timed) !== 0).toBe(timed);
          const again = reopened(message).content;
          expect(again.timing).toEqual(message.content.timing);
          if (version !== "1.1") expect(again.groupId).toBe(group);
          expect(again.groupId !== undefined).toBe((message.traits & TRAIT.grouped) !== 0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("is none in a frame that was kept with other things under these names", () => {
    const { content } = stored("message-id:m\ndelay:later\nJMSXGroupSeq:x");
    expect([content.timing, content.groupSequence]).toEqual([undefined, undefined]);
  });
});

describe("a STOMP SEND", () => {
  it("cannot say what only the broker says of a group or to a browser", async () => {
    const { message } = await sent("JMSXGroupFirstForConsumer:true\nbrowser:firefox");
    expect(frameText(message)).toBe("message-id:default-1-1\ndestination:/topic/a\nbrowser:firefox\n\nbody\0");
    expect(await refusal("browser:end")).toMatch(/browser:end is for the broker alone/);
  });

  it("has its priority in the envelope and in the frame", async () => {
    const { message } = await sent("priority:9\nJMSXGroupID:g");
    expect([message.priority, message.traits]).toEqual([9, TRAIT.grouped]);
    expect(frameText(message)).toContain("\npriority:9\n");
  });
});
