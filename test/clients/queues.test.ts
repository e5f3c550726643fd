import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { runProgram, runs } from "./program.ts";
import { collect, confirmed, connect } from "./stompjs-client.ts";

const PHP = "/usr/bin/php";
const NO_PHP = runs(PHP, ["-r", "exit(extension_loaded('stomp') ? 0 : 1);"])
  ? ""
  : ` (skipped: there is no ${PHP} with the extension stomp)`;
const PYTHON = "/usr/bin/python3";
const NO_PYTHON = runs(PYTHON, ["-c", "import stomp"])
  ? ""
  : ` (skipped: there is no ${PYTHON} with the package stomp)`;
const ALICE = "security.users.alice.password=secret";
const TWICE = 'queues=[{match: php, max_deliveries: 2, dead_letter_queue: "dlq.*"}]';

async function playPhp(scenario: string): Promise<{ outcome: unknown; left: number }> {
  const { port, queue } = await startQueueBroker(ALICE, TWICE);
  const outcome = await runProgram(PHP, "stomp-client.php", [scenario, String(port)]);
  return { outcome, left: queue("php").count };
}

async function playPython(scenario: string): Promise<unknown> {
  const { port } = await startQueueBroker(ALICE);
  return runProgram(PYTHON, "stomp-client.py", [scenario, String(port)]);
}

describe.skipIf(NO_PHP !== "")(`PHP's stomp extension${NO_PHP}`, () => {
  it("browses a queue to its end", async () => {
    expect(await playPhp("browse")).toEqual({ outcome: { seen: { 1: "1", 2: "2", 3: "3" }, end: "end" }, left: 3 });
  });

  it("makes a dead letter of a message that it refuses too often", async () => {
    expect(await playPhp("dead-letters-by-nack")).toMatchObject({
      outcome: {
        redelivered: ["false", "true"],
        body: "bad",
        // It does not undo the escapes of STOMP 1.1.
        headers: {
          dead_letter_reason: "delivery-limit",
          dead_letter_origin: "queue\\cphp",
          dead_letter_deliveries: "2",
        },
      },
      left: 0,
    });
  });

  it("makes a dead letter of a message with which it leaves too often", async () => {
    expect(await playPhp("dead-letters-by-leaving")).toMatchObject({
      outcome: { body: "bad", headers: { dead_letter_reason: "delivery-limit", dead_letter_count: "1" } },
      left: 0,
    });
  });
});

describe.skipIf(NO_PYTHON !== "")(`stomp.py${NO_PYTHON}`, () => {
  it("shares message groups with another consumer, each whole and in order", async () => {
    const outcome = await playPython("groups");
    const groups = Object.entries(outcome ?? {});
    expect(groups.length).toBe(20);
    const owners = new Set<unknown>();
    for (const [, group] of groups) {
      const [[owner] = []] = group;
      owners.add(owner);
      expect(group).toEqual([
        [owner, "0", "true"],
        [owner, "1", "false"],
        [owner, "2", "false"],
      ]);
    }
    expect(owners.size).toBe(2);
  });

  it("sends what comes later, not before its time", async () => {
    expect(await playPython("scheduled")).toEqual({ bodies: ["now", "later", "at"], early: false });
  });

  it("browses a queue to its end", async () => {
    expect(await playPython("browse")).toEqual({ seen: ["1", "2", "3"] });
  });
});

describe("stompjs in Node", () => {
  it("refuses a message until it is a dead letter, and browses that", async () => {
    const { port } = await startQueueBroker('queues=[{match: work, max_deliveries: 1, dead_letter_queue: "dlq"}]');
    const client = await connect(port);
    const got = await collect(client, "/queue/work", { ack: "client-individual" });
    client.publish({ destination: "/queue/work", body: "bad: \u{1f30a}" });
    await eventually(() => expect(got.length).toBe(1));
    await confirmed(client, (receipt) => got[0]?.nack({ receipt }));
    const seen = await collect(client, "/queue/dlq", { browser: "true" });
    await eventually(() => expect(seen.map(({ headers }) => headers["browser"])).toEqual([undefined, "end"]));
    expect(seen[0]?.body).toBe("bad: \u{1f30a}");
    expect(seen[0]?.headers["dead_letter_origin"]).toBe("queue:work");
  });

  it("asks and answers over a temporary queue", async () => {
    const { port } = await startQueueBroker();
    const server = await connect(port);
    await confirmed(server, (receipt) => {
      const answer = ({ body, headers }: { body: string; headers: Record<string, string> }): void =>
        server.publish({ destination: headers["reply-to"] ?? "", body: body.toUpperCase() });
      server.subscribe("/queue/upper", answer, { receipt });
    });
    const client = await connect(port);
    const replies = await collect(client, "/temp-queue/replies");
    client.publish({ destination: "/queue/upper", body: "abc", headers: { "reply-to": "/temp-queue/replies" } });
    await eventually(() => expect(replies.map(({ body }) => body)).toEqual(["ABC"]));
  });
});
