import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startBroker, temporaryFolder } from "../support/broker.ts";
import { startQueueBroker } from "../support/queue-broker.ts";
import { MOSQUITTO_MISSING, Mosquitto, run, subscribe } from "./mosquitto.ts";

const VERSIONS = ["31", "311", "5"];
const QUALITIES = VERSIONS.flatMap((version) => ["0", "1", "2"].map((qos) => [version, qos] as const));
/** Quality, retain flag, topic, payload. */
const SHORT = ["-F", "%q %r %t %p"];

describe.skipIf(MOSQUITTO_MISSING !== "").each(QUALITIES)(
  `mosquitto_pub and mosquitto_sub -V %s at QoS %s${MOSQUITTO_MISSING}`,
  (version, qos) => {
    const form = ["-V", version, "-q", qos];

    it("send and receive text, bytes, nothing and a megabyte", async () => {
      const { port, host } = await startQueueBroker();
      const text = await subscribe(port, host, [...form, "-t", "a/+", "-C", "2", ...SHORT]);
      const bytes = await subscribe(port, host, [...form, "-t", "bytes", "-C", "1", "-N"]);
      await run("mosquitto_pub", port, [...form, "-t", "a/b", "-m", "grüße \u{1f30a}"]);
      await run("mosquitto_pub", port, [...form, "-t", "a/c", "-n"]);
      const body = Buffer.alloc(1 << 20, "0123456789abcde\0");
      await run("mosquitto_pub", port, [...form, "-t", "bytes", "-s"], body);
      expect((await text.done()).toString()).toBe(`${qos} 0 a/b grüße \u{1f30a}\n${qos} 0 a/c \n`);
      expect((await bytes.done()).equals(body)).toBe(true);
    });

    it("send and receive many, each once and in order", async () => {
      const { port, host } = await startQueueBroker();
      const lines = Array.from({ length: 2000 }, (_, i) => String(i));
      const receiver = await subscribe(port, host, [...form, "-t", "a", "-C", "2000"]);
      await run("mosquitto_pub", port, [...form, "-t", "a", "-l"], lines.join("\n"));
      expect((await receiver.done()).toString()).toBe(`${lines.join("\n")}\n`);
    });

    it("set, read and remove what topics retain", async () => {
      const { port, host } = await startQueueBroker();
      for (const topic of ["state/a", "state/b"]) {
        await run("mosquitto_pub", port, [...form, "-r", "-t", topic, "-m", topic]);
      }
      await run("mosquitto_pub", port, [...form, "-r", "-t", "state/b", "-n"]);
      const receiver = await subscribe(port, host, [...form, "-t", "state/#", "-C", "2", ...SHORT]);
      await run("mosquitto_pub", port, [...form, "-r", "-t", "state/c", "-m", "new"]);
      expect((await receiver.done()).toString()).toBe(`${qos} 1 state/a state/a\n${qos} 0 state/c new\n`);
    });

    it("leave a will where they die", async () => {
      const { port, host } = await startQueueBroker();
      const watcher = await subscribe(port, host, [...form, "-t", "will", "-C", "1", ...SHORT]);
      const will = ["--will-topic", "will", "--will-payload", "died", "--will-qos", qos];
      const dying = await subscribe(port, host, [...form, ...will, "-t", "anything"]);
      await dying.crash();
      expect((await watcher.done()).toString()).toBe(`${qos} 0 will died\n`);
    });
  },
);

describe.skipIf(MOSQUITTO_MISSING !== "").each(VERSIONS)(`mosquitto_sub -V %s${MOSQUITTO_MISSING}`, (version) => {
  it.each(["1", "2"])("gets at QoS %s what was sent while it was away, the broker stopped between", async (qos) => {
    const settings = ["store.kind=lmdb", `store.directory=${temporaryFolder()}`];
    const form = ["-V", version, "-q", qos];
    const kept = [...form, "-i", "sensor", "-c", ...(version === "5" ? ["-x", "1000"] : [])];
    const first = await startBroker(settings);
    await run("mosquitto_sub", first.port, [...kept, "-t", "a", "-E"]);
    await run("mosquitto_pub", first.port, [...form, "-t", "a", "-m", "before"]);
    await first.stop();
    const second = await startBroker(settings);
    await run("mosquitto_pub", second.port, [...form, "-t", "a", "-m", "after"]);
    await second.stop();
    const { port } = await startBroker(settings);
    const output = await run("mosquitto_sub", port, [...kept, "-t", "a", "-C", "2", "-F", "%q %p"]);
    expect(output.toString()).toBe(`${qos} before\n${qos} after\n`);
  });

  it("shares a subscription", async () => {
    const { port, host } = await startQueueBroker();
    const filter = ["-V", version, "-q", "1", "-t", "$share/crew/jobs/#"];
    const members = [await subscribe(port, host, filter), await subscribe(port, host, filter)];
    const jobs = Array.from({ length: 50 }, (_, i) => String(i));
    await run("mosquitto_pub", port, ["-V", version, "-q", "1", "-t", "jobs/a", "-l"], jobs.join("\n"));
    const done = (): string[] => members.flatMap(({ lines }) => lines);
    await eventually(() => expect(done().length).toBe(50));
    expect(done().toSorted()).toEqual(jobs.toSorted());
    for (const { lines } of members) expect(lines.length).toBeGreaterThan(0);
  });

  it("loses its connection to another of its name", async () => {
    const { port, host } = await startQueueBroker();
    const first = await subscribe(port, host, ["-V", version, "-t", "a", "-C", "1"], "twin");
    await run("mosquitto_pub", port, ["-V", version, "-i", "twin", "-t", "b", "-m", "x"]);
    if (version === "5") {
      // It is told why, and gives up.
      await first.failed();
      expect(host.clients.size).toBe(0);
      return;
    }
    await eventually(() => [...host.sessions.list()].some(({ interests }) => interests.length > 0));
    await run("mosquitto_pub", port, ["-V", version, "-t", "a", "-m", "back"]);
    expect((await first.done()).toString()).toBe("back\n");
  });

  it("is told by an exit code that its password is wrong", async () => {
    const { port } = await startQueueBroker("security.users.alice.password=secret");
    const login = ["-V", version, "-u", "alice", "-P", "guess", "-t", "a", "-C", "1"];
    const { code, errors } = await new Mosquitto("mosquitto_sub", port, login).failed();
    expect(code).toBe(version === "5" ? 134 : 4);
    expect(errors).toMatch(/not authorised|bad user name or password|refused/i);
  });
});

describe.skipIf(MOSQUITTO_MISSING !== "")(`mosquitto by MQTT 5.0${MOSQUITTO_MISSING}`, () => {
  it("sends and receives every property that travels with a message", async () => {
    const { port, host } = await startQueueBroker();
    const five = ["-V", "5", "-q", "1", "-t", "a"];
    const receiver = await subscribe(port, host, [
      ...five,
      "-C",
      "1",
      "-F",
      "%C|%R|%D|%E|%F|%P|%S",
      "-D",
      "SUBSCRIBE",
      "subscription-identifier",
      "9",
    ]);
    const properties = [
      ["content-type", "text/plain"],
      ["response-topic", "answers/me"],
      ["correlation-data", "c-1"],
      ["message-expiry-interval", "1000"],
      ["payload-format-indicator", "1"],
      ["user-property", "colour", "red"],
      ["user-property", "colour", "blue"],
    ].flatMap((property) => ["-D", "PUBLISH", ...property]);
    await run("mosquitto_pub", port, [...five, "-m", "x", ...properties]);
    expect((await receiver.done()).toString()).toMatch(
      /^text\/plain\|answers\/me\|c-1\|(1000|999)\|1\|colour:red colour:blue\|9\n$/,
    );
  });

  it("asks by mosquitto_rr and is answered", async () => {
    const { port, host } = await startQueueBroker();
    const server = await subscribe(port, host, ["-V", "5", "-t", "time", "-C", "1", "-F", "%R|%D"]);
    const asking = [
      "-V",
      "5",
      "-q",
      "1",
      "-t",
      "time",
      "-e",
      "answers/me",
      "-m",
      "?",
      "-D",
      "PUBLISH",
      "correlation-data",
      "c-7",
    ];
    const client = new Mosquitto("mosquitto_rr", port, [...asking, "-F", "%p %D"]);
    const [responseTopic, correlation] = (await server.done()).toString().trim().split("|");
    expect(responseTopic).toBe("answers/me");
    const answer = ["-V", "5", "-q", "1", "-t", responseTopic ?? "", "-m", "noon"];
    await run("mosquitto_pub", port, [...answer, "-D", "PUBLISH", "correlation-data", correlation ?? ""]);
    expect((await client.done()).toString()).toBe("noon c-7\n");
  });
});
