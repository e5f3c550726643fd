import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inContainer, isContainer } from "../../src/cli/container.ts";
import { type ConfigSources, loadConfig } from "../../src/config/load.ts";
import { parsePasswordHash, verifyPassword } from "../../src/security/password.ts";
import { temporaryFolder } from "../support/broker.ts";

function sourcesIn(directory: string, more: Partial<ConfigSources> = {}): ConfigSources {
  return { directory, environment: { DELOS_CONTAINER: "1" }, ...more };
}

async function start(sources: ConfigSources) {
  const { sources: complete, password, keep } = await inContainer(sources);
  const loaded = loadConfig(complete);
  if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
  return { config: loaded.config, password, keep };
}

/** Whether a password is the admin's. */
async function fits(config: Awaited<ReturnType<typeof start>>["config"], password: string | undefined) {
  const hash = parsePasswordHash(config.security.users["admin"]?.password_hash ?? "");
  return hash !== undefined && password !== undefined && verifyPassword(password, hash);
}

describe("a broker in a container", () => {
  it.each([
    ["1", true],
    ["true", true],
    ["0", false],
    ["", false],
    [undefined, false],
  ])("is one that DELOS_CONTAINER=%s says so of: %s", (value, expected) => {
    expect(isContainer({ directory: ".", environment: { DELOS_CONTAINER: value } })).toBe(expected);
  });

  it("listens on every address, lets no guests in and makes up a password, once", async () => {
    const directory = temporaryFolder();
    const first = await start(sourcesIn(directory));
    expect(Object.values(first.config.listeners).map(({ host }) => host)).toEqual(Array(7).fill("0.0.0.0"));
    expect(first.config.management.host).toBe("0.0.0.0");
    expect(first.config.security.guest.enabled).toBe(false);
    expect(first.config.security.users["admin"]?.groups).toEqual(["admins"]);
    expect(await fits(first.config, first.password)).toBe(true);
    first.keep();
    const file = join(first.config.store.directory, "admin-password.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).not.toContain(first.password);
    const second = await start(sourcesIn(directory));
    expect(second.password).toBeUndefined();
    expect(await fits(second.config, first.password)).toBe(true);
  });

  it("makes up another password when the start before did not come to show its own", async () => {
    const directory = temporaryFolder();
    const first = await start(sourcesIn(directory));
    // It ends here, as a port is in use.
    const second = await start(sourcesIn(directory));
    expect(second.password).toBeDefined();
    expect(second.password).not.toBe(first.password);
    second.keep();
    const third = await start(sourcesIn(directory));
    expect(await fits(third.config, second.password)).toBe(true);
    writeFileSync(join(third.config.store.directory, "admin-password.json"), '{"password_hash"');
    await expect(start(sourcesIn(directory))).rejects.toThrow(/admin-password\.json does not hold the hashes/);
  });

  it("takes the password from a file", async () => {
    const directory = temporaryFolder();
    const file = join(directory, "secret");
    writeFileSync(file, "open sesame\n");
    const environment = { DELOS_CONTAINER: "1", DELOS_ADMIN_PASSWORD_FILE: file };
    const { config, password } = await start(sourcesIn(directory, { environment }));
    expect(password).toBeUndefined();
    expect(await fits(config, "open sesame")).toBe(true);
  });

  it.each([
    ["is not there", undefined, /DELOS_ADMIN_PASSWORD_FILE: .* cannot be read/],
    ["is empty", "\n", /DELOS_ADMIN_PASSWORD_FILE: .* empty first line/],
  ])("does not start when the file %s", async (_what, text, expected) => {
    const directory = temporaryFolder();
    const file = join(directory, "secret");
    if (text !== undefined) writeFileSync(file, text);
    const environment = { DELOS_CONTAINER: "1", DELOS_ADMIN_PASSWORD_FILE: file };
    await expect(start(sourcesIn(directory, { environment }))).rejects.toThrow(expected);
  });

  it("does as its configuration says, which may have users of its own", async () => {
    const sets = ["security.users.ann.password=secret", "listeners.mqtt.host=127.0.0.1"];
    const { config, password } = await start(sourcesIn(temporaryFolder(), { sets }));
    expect(password).toBeUndefined();
    expect(Object.keys(config.security.users)).toEqual(["ann"]);
    expect([config.listeners["mqtt"]?.host, config.listeners["stomp"]?.host]).toEqual(["127.0.0.1", "0.0.0.0"]);
  });

  it("leaves an admin of the configuration alone", async () => {
    const { config, password } = await start(
      sourcesIn(temporaryFolder(), { sets: ["security.users.admin.password=secret"] }),
    );
    expect(password).toBeUndefined();
    expect(config.security.users["admin"]).toEqual({ password: "secret", groups: [], enabled: true });
  });

  it("has another password at each start when nothing is kept", async () => {
    const sources = sourcesIn(temporaryFolder(), { sets: ["store.kind=memory"] });
    const first = await start(sources);
    const second = await start(sources);
    expect(first.password).toBeDefined();
    expect(second.password).not.toBe(first.password);
    expect(await fits(second.config, second.password)).toBe(true);
  });
});
