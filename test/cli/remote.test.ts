import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { delos } from "../support/delos.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const RULES = [
  "access_rules=[{allow: [admins], action: ['*'], kind: ['*']}, {allow: [ann], principal_kind: [user], action: ['*'], kind: [queue]}]",
  "security.users.ann.password=ann-secret",
];

function commands(api: TestManagement, env: Readonly<Record<string, string>> = {}) {
  return (args: readonly string[], input = "") =>
    delos(args, { input, env: { DELOS_URL: api.url, DELOS_PASSWORD: "secret", ...env } });
}

function json(text: string): unknown {
  return JSON.parse(text);
}

describe("commands that ask a running broker", () => {
  it("send, look at and consume messages", async () => {
    const run = commands(await startManagement());
    expect(await run(["pub", "queue:a.b", "hello", "-p", "n=1", "-p", 's="1"', "-p", "b=true"])).toEqual({
      code: 0,
      out: "",
      err: "",
    });
    expect((await run(["pub", "a.b", "--lines", "--json"], "one\ntwo\n")).out).toBe('{"sent":2}\n');
    const looked = await run(["browse", "queue:a.b", "--json"]);
    expect(json(looked.out)).toMatchObject({
      total_messages: 3,
      messages: [{ body: "hello", properties: { n: 1, s: "1", b: true } }, { body: "one" }, { body: "two" }],
    });
    expect((await run(["browse", "a.b", "-n", "1"])).out).toMatch(
      /^#\d+ .*\n {2}property n = 1\n[^]*\(1 of 3 messages;/,
    );
    expect((await run(["sub", "a.b", "--count", "2"])).out).toBe("hello\none\n");
    expect((await run(["sub", "a.b", "--once"])).out).toBe("two\n");
    expect(json((await run(["queues", "a.b", "--json"])).out)).toMatchObject({ messages: 0, consumed: 3 });
  });

  it("list what there is, as a table and as JSON", async () => {
    const api = await startManagement();
    const run = commands(api);
    for (const name of ["x1", "x2", "y"]) await api.put(`/api/v1/hosts/default/queues/${name}`);
    const client = await StompWire.connect(api.broker.port, { headers: { login: "admin", passcode: "secret" } });
    await client.request("SUBSCRIBE", { id: "1", destination: "/topic/news" });
    await run(["pub", "topic:news", "hello"]);
    const queues = await run(["queues", "--filter", "name LIKE 'x%'", "--order", "name", "-r", "--limit", "1"]);
    expect(queues.out).toMatch(/^QUEUE +STATE +MESSAGES.*\nx2 +running +0.*\n\(1 of 2 queues;/);
    expect((await run(["topics"])).out).toMatch(/\nnews +1 /);
    expect((await run(["connections"])).out).toMatch(/\ndefault-\S+ +admin +STOMP 1/);
    expect(json((await run(["connections", "--json"])).out)).toMatchObject({ total_rows: 1 });
    expect((await run(["sessions"])).out).toMatch(/^SESSION +USER/);
    expect((await run(["status"])).out).toMatch(/ready +yes\n/);
    expect(json((await run(["status", "--json"])).out)).toMatchObject({ ready: true, figures: { clients: 1 } });
    const top = await run(["top", "--count", "1", "--interval", "0.05"]);
    expect(top.out).toMatch(/^1 clients, 0 messages stored[^]*\nx1 /);
  });

  it("throw messages away only when told so, and bring dead letters back", async () => {
    const api = await startManagement(["queues=[{match: a, dead_letter_queue: 'dlq.*'}]"]);
    const run = commands(api);
    await run(["pub", "a", "--lines"], "1\n2\n3\n");
    const unasked = await run(["purge", "a"]);
    expect([unasked.code, unasked.err]).toEqual([2, expect.stringContaining("--yes is missing")]);
    expect(await run(["purge", "a", "--yes", "--count", "2"])).toMatchObject({
      code: 0,
      out: "finished: 2 done, 0 stayed\n",
    });
    await api.post("/api/v1/hosts/default/queues/a/consume", { ack: "lease", lease_ms: 60_000 }).then(({ body }) => {
      const lease = typeof body === "object" && body !== null && "lease" in body ? String(body.lease) : "";
      return api.post(`/api/v1/hosts/default/leases/${lease}`, { outcome: "rejected" });
    });
    const queues = json((await run(["queues", "--filter", "messages > 0", "--json"])).out);
    expect(queues).toMatchObject({ items: [{ messages: 1 }] });
    const dead = JSON.stringify(queues).match(/"name":"([^"]+)"/)?.[1] ?? "";
    expect(dead).not.toBe("a");
    expect(await run(["redrive", dead])).toMatchObject({ code: 0, out: "finished: 1 done, 0 stayed\n" });
    expect((await run(["sub", "a", "--once"])).out).toBe("3\n");
  });

  it("make users who can log in, and say what rules allow them", async () => {
    const api = await startManagement(RULES);
    const run = commands(api);
    expect(await run(["passwd", "bob", "--group", "staff"], "bobs\n")).toMatchObject({ code: 0 });
    expect(await api.get("/api/v1/users/bob")).toMatchObject({ body: { groups: ["staff"], has_password: true } });
    expect((await api.get("/api/v1/users", { as: "bob:bobs" })).status).toBe(403);
    expect((await run(["acl"])).out).toMatch(/^RULE +HOST[^]*access_rules\[1\]/);
    const may = await run(["acl", "send", "queue", "a", "--as", "ann", "--group", "staff"]);
    expect([may.code, may.out]).toEqual([
      0,
      expect.stringMatching(/^User ann may send the queue a: access_rules\[1\]/),
    ]);
    expect(await run(["acl", "send", "topic", "a", "--as", "ann"])).toMatchObject({ code: 1 });
  });

  it("log in by files and keys, and never take a password for an option", async () => {
    const api = await startManagement();
    const folder = temporaryFolder();
    const file = join(folder, "password");
    writeFileSync(file, "secret\n");
    const url = ["--url", api.url];
    expect(await delos(["queues", ...url, "--user", "admin", "--password-file", file])).toMatchObject({ code: 0 });
    const { body } = await api.post("/api/v1/api-keys", { name: "robot", groups: ["admins"] });
    writeFileSync(file, typeof body === "object" && body !== null && "key" in body ? String(body.key) : "");
    expect(await delos(["queues", ...url, "--api-key-file", file])).toMatchObject({ code: 0 });
    const none = await delos(["queues", ...url]);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("the password of admin is missing")]);
    expect((await delos(["queues", ...url, "--password", "secret"])).err).toContain("--password is not known");
  });
});

describe("what goes wrong has an exit code and a sentence", () => {
  it("3 when nobody listens", async () => {
    const { code, err } = await delos(["status", "--url", "http://127.0.0.1:1"], { env: { DELOS_PASSWORD: "x" } });
    expect([code, err]).toEqual([3, expect.stringContaining("There is no management at http://127.0.0.1:1: nobody")]);
  });

  it("1 when somebody else listens", async () => {
    const other = createServer((_request, response) => response.writeHead(500).end("<html>"));
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
    onTestFinished(() => void other.close());
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, err } = await delos(["queues", "--url", `http://127.0.0.1:${port}`], {
      env: { DELOS_PASSWORD: "x" },
    });
    expect([code, err]).toEqual([1, expect.stringContaining("HTTP 500, which management of Delos never says")]);
  });

  it("4 for a wrong password or a missing right, 1 for what is not there", async () => {
    const api = await startManagement(RULES);
    expect(await commands(api, { DELOS_PASSWORD: "wrong" })(["queues"])).toMatchObject({ code: 4 });
    const ann = commands(api, { DELOS_USER: "ann", DELOS_PASSWORD: "ann-secret" });
    const refused = await ann(["queues"]);
    expect([refused.code, refused.err]).toEqual([4, expect.stringContaining('lacks the right "monitor"')]);
    const missing = await commands(api)(["queues", "none"]);
    expect([missing.code, missing.err]).toEqual([1, "delos queues: There is no queue none in virtual host default\n"]);
  });

  it.each([
    [["pub", "dsub:x", "a"], '"dsub:x" is a dsub; expected queue:NAME or topic:NAME'],
    [["pub", "queue:", "a"], '"queue:" has no name'],
    [["pub", "a", "b", "--ttl", "soon"], "--ttl soon: expected a duration"],
    [["pub", "a", "b", "--property", "x"], "--property x: expected NAME=VALUE"],
    [["queues", "--limit", "0"], "--limit 0: expected a whole number from 1 to 1000"],
    [["acl", "send"], "expected ACTION, KIND and NAME, or none"],
    [["status", "--url", "nowhere"], '--url: "nowhere" is no URL'],
  ])("2 for %j", async (args, problem) => {
    const { code, err } = await delos(args, { env: { DELOS_PASSWORD: "x" } });
    expect([code, err]).toEqual([2, expect.stringContaining(problem)]);
  });
});

it("a name from a client is not taken for a command by the terminal", async () => {
  const api = await startManagement();
  await api.put(`/api/v1/hosts/default/queues/${encodeURIComponent("a\u001b[2Jb")}`);
  const { out } = await commands(api)(["queues"]);
  expect(out).not.toContain("\u001b[2J");
});
