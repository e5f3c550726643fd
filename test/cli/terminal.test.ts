/*
 * Commands and the terminal, or the pipe, that they are run in.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT, temporaryFolder } from "../support/broker.ts";
import { authority, writePair } from "../support/certificates.ts";
import { delos } from "../support/delos.ts";
import { eventually } from "../support/eventually.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { runs } from "../clients/program.ts";

const COMMAND = `"${process.execPath}" "${join(ROOT, "src/main.ts")}"`;

function env(api: TestManagement): Readonly<Record<string, string>> {
  return { DELOS_URL: api.url, DELOS_PASSWORD: "secret" };
}

/** What a line of the shell came to, and what was on the terminal if it had one. */
async function shell(line: string, own: Readonly<Record<string, string>>, answer?: { after: string; say: string }) {
  const [file, args] = answer === undefined ? ["bash", ["-c", line]] : ["script", ["-qec", line, "/dev/null"]];
  const child = spawn(file, args, { env: { ...process.env, ...own } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((done) => child.once("close", done));
  if (answer !== undefined) {
    await eventually(() => out.includes(answer.after), 25_000);
    child.stdin.write(answer.say);
  }
  return { code: await ended, out };
}

describe("commands", { timeout: 90_000 }, () => {
  it("end without a word when whoever reads them has gone, and consume no more", async () => {
    const api = await startManagement();
    const lines = Array.from({ length: 500 }, (_, n) => `line ${n} ${"x".repeat(1000)}`).join("\n");
    await delos(["pub", "q", "--lines"], { input: lines, env: env(api) });
    const browsed = await shell(`set -o pipefail; ${COMMAND} browse q -n 500 | head -1`, env(api));
    expect(browsed).toEqual({ code: 1, out: expect.stringMatching(/^#1 [^\n]*\n$/) });
    const subscribed = await shell(`set -o pipefail; ${COMMAND} sub q | head -1`, env(api));
    expect(subscribed).toEqual({ code: 1, out: expect.stringMatching(/^line 0 x+\n$/) });
    const { body } = await api.get("/api/v1/hosts/default/queues/q");
    expect(Object(body).messages).toBeGreaterThan(300);
  });

  it("print nothing that a terminal takes for a command, in lists, JSON or complaints", async () => {
    const api = await startManagement();
    const name = "a\u009b2Jb\u202ed";
    await api.put(`/api/v1/hosts/default/queues/${encodeURIComponent(name)}`);
    const listed = await delos(["queues", "--json"], { env: env(api) });
    const looked = await delos(["queues", name], { env: env(api) });
    const missing = await delos(["queues", `${name}e`], { env: env(api) });
    const wrong = await delos(["pub", "q", "x", "--ttl", name], { env: env(api) });
    for (const { out, err } of [listed, looked, missing, wrong]) {
      expect((out + err).replaceAll("\n", "")).not.toMatch(/\p{Cc}|\p{Cf}/u);
    }
    expect(JSON.parse(listed.out)).toMatchObject({ items: [{ name }] });
    expect(missing.code).toBe(1);
    expect(wrong.code).toBe(2);
  });

  it("take no login in a URL, and no key that is none", async () => {
    const inUrl = await delos(["status", "--url", "http://admin:secret@127.0.0.1:1"]);
    expect(inUrl).toMatchObject({ code: 2, err: expect.stringContaining("a login does not belong there") });
    expect(inUrl.err).not.toContain("secret");
    const noKey = await delos(["status"], { env: { DELOS_API_KEY: "a\u200bb" } });
    expect(noKey).toMatchObject({ code: 2, err: expect.stringContaining("characters that no key has") });
    const api = await startManagement();
    const noTls = await delos(["status", "--url", api.url.replace("http:", "https:")], { env: env(api) });
    expect(noTls).toMatchObject({ code: 3, err: expect.stringContaining("it does not speak TLS") });
  });

  it("tell a wrong certificate from none, and a port that speaks TLS only from one that does not", async () => {
    const folder = temporaryFolder();
    const signer = authority("Plant CA");
    const trusted = writePair(folder, "authority", signer).certificate;
    const issued = signer.issue({ commonName: "broker", names: ["DNS:localhost", "IP:127.0.0.1"] });
    const server = writePair(folder, "server", issued);
    const api = await startManagement([
      `management.tls.certificate=${server.certificate}`,
      `management.tls.key=${server.key}`,
      "management.tls.required=true",
    ]);
    const own = { DELOS_PASSWORD: "secret", DELOS_URL: api.url.replace("http:", "https:") };
    expect(await delos(["status", "--ca", trusted], { env: own })).toMatchObject({ code: 0 });
    const untrusted = await delos(["status"], { env: own });
    expect(untrusted).toMatchObject({ code: 3, err: expect.stringContaining("its certificate is not trusted") });
    const none = await delos(["status", "--ca", import.meta.filename], { env: own });
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining("holds no certificate") });
    const plain = await delos(["status", "--url", api.url], { env: own });
    expect(plain).toMatchObject({ code: 3, err: expect.stringContaining("does it speak TLS only") });
  });

  it("say how many messages were sent when one is refused", async () => {
    const api = await startManagement(["queues=[{match: q, max_messages: 2, full: reject}]"]);
    const { code, err } = await delos(["pub", "q", "--lines"], { input: "1\n2\n3\n", env: env(api) });
    expect([code, err]).toEqual([1, expect.stringContaining("(after 2 messages were sent)")]);
  });
});

describe.skipIf(!runs("script", ["--version"]))("on a terminal commands", { timeout: 90_000 }, () => {
  it("do not show passwords, and take Ctrl-C and Ctrl-D for no answer", async () => {
    const api = await startManagement();
    const own = { DELOS_URL: api.url };
    const asked = { after: "Password of admin: ", say: "secret\r" };
    const status = await shell(`${COMMAND} status`, own, asked);
    expect(status).toEqual({ code: 0, out: expect.stringContaining("ready") });
    expect(status.out).not.toContain("secret");
    for (const say of ["\u0003", "\u0004"]) {
      const left = await shell(`${COMMAND} status`, own, { ...asked, say });
      expect(left.code).toBe(1);
      expect(left.out.trim().split(/\r?\n/).slice(-1)).toEqual(["delos status: there was no answer"]);
    }
  });

  it("ask before they throw anything away, so that it can be read", async () => {
    const api = await startManagement();
    await delos(["pub", "q", "precious"], { env: env(api) });
    const question = "Throw away all messages of q? [y/N] ";
    const kept = await shell(`${COMMAND} purge q`, env(api), { after: question, say: "n\r" });
    expect(kept.code).toBe(1);
    // What clears the line comes before the question, and not behind it.
    expect(kept.out.lastIndexOf("\u001b[0J")).toBeLessThan(kept.out.indexOf(question) + 1);
    expect(await api.get("/api/v1/hosts/default/queues/q")).toMatchObject({ body: { messages: 1 } });
    const purged = await shell(`${COMMAND} purge q`, env(api), { after: question, say: "y\r" });
    expect(purged).toEqual({ code: 0, out: expect.stringContaining("1 done") });
  });
});
