import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { temporaryFolder } from "../support/broker.ts";

/** What is told of `security.modules`. */
function told(modules: string, section = "security"): { problems: readonly string[]; warnings: readonly string[] } {
  const loaded = loadConfig({ sets: [`${section}.modules=${modules}`], directory: "/" });
  if (!loaded.ok) return { problems: loaded.problems, warnings: [] };
  return { problems: [], warnings: loaded.warnings };
}

describe("login modules", () => {
  it.each([
    ["[{users: {}}]", "control: must be set; expected one of required, requisite, sufficient, optional"],
    ["[{control: needed, users: {}}]", "one of required, requisite, sufficient, optional"],
    ["[{control: required}]", "modules[0]: expected control and one module"],
    ["[{control: required, users: {}, guest: {}}]", "there are users and guest"],
    ["[{control: required, kerberos: {}}]", 'key "security.modules[0].kerberos" is not known'],
    ["[{control: optional, source_address: {}}]", "none of them lets anybody in"],
    ["[{control: required, users: {}}, {control: optional, groups: {}}]", "groups.file: must name the file"],
    ["[{control: required, source_address: {allow: [10.0.0.0/33]}}]", 'allow: "10.0.0.0/33" is neither'],
    ["[{control: required, jwt: {}}]", "expected one of jwks_url, jwks_file, key_file and secret; found none"],
    ["[{control: required, jwt: {secret: short}}]", "jwt.secret: has 5 bytes; expected 32 or more"],
    ["[{control: required, jwt: {jwks_url: 'ftp://x'}}]", "jwt.jwks_url"],
    ["[{control: required, ldap: {}}]", "ldap.url"],
    ["[{control: required, ldap: {url: 'ldap://x', user_dn: 'cn=ann'}}]", "has no {user} in it"],
    ["[{control: required, ldap: {url: 'ldap://x', user_base: b, bind_dn: x}}]", "need each other"],
    ["[{control: required, ldap: {url: 'ldaps://x', user_base: b, start_tls: true}}]", "start_tls"],
    ["[{control: required, users: {file: nowhere.yaml}}]", "there is no file /nowhere.yaml"],
  ])("%s are refused: %s", (modules, text) => {
    expect(told(modules).problems.join("\n")).toContain(text);
  });

  it("of a virtual host are looked at like those of the broker", () => {
    const { problems } = told("[{control: required}]", "hosts.default.security");
    expect(problems.join()).toContain("hosts.default.security.modules[0]: expected control and one module");
  });

  it("that contradict what is meant are warned of", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "groups"), "a=b");
    writeFileSync(join(folder, "users.properties"), "ann=Geheim");
    const groups = `{control: optional, groups: {file: ${folder}/groups}}`;
    const users = `{control: sufficient, users: {file: ${folder}/users.properties}}`;
    const text = told(`[${users}, ${groups}]`).warnings.join("\n");
    expect(text).toContain("modules[1].groups: is not asked about whom a sufficient module before it lets in");
    expect(text).toContain("users.properties knows the password of ann");
    expect(text).not.toContain("Geheim");
    expect(told(`[${groups}, ${users}]`).warnings.join("\n")).not.toContain("is not asked");
  });

  it("in a file find their files beside that", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "users.properties"), "ann=x");
    const modules = "security:\n  modules:\n    - control: required\n      users: {file: users.properties}\n";
    writeFileSync(join(folder, "delos.yaml"), modules);
    const loaded = loadConfig({ file: join(folder, "delos.yaml"), directory: "/" });
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    expect(loaded.config.security.modules[0]?.users?.file).toBe(join(folder, "users.properties"));
  });
});

it("security that is off is warned of", () => {
  const loaded = loadConfig({ sets: ["security.enabled=false"], directory: "/" });
  expect(loaded.ok && loaded.warnings.join()).toContain(
    "security.enabled: whoever reaches a port of this broker is let in",
  );
});
