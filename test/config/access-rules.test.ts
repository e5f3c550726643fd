import { describe, expect, it } from "vitest";
import { accessRuleSet } from "../../src/config/access.ts";
import { loadConfig } from "../../src/config/load.ts";

function load(rules: readonly object[], more: readonly string[] = []) {
  return loadConfig({ sets: [`access_rules=${JSON.stringify(rules)}`, ...more], directory: "/" });
}

describe("access rules of the configuration", () => {
  it("are those of the broker and of each virtual host, each with its place", () => {
    const rules = [{ allow: ["a|b", "c"], separator: "|", action: ["send"], id: "x.*", connector: "mqtt" }];
    const loaded = load(rules, ['hosts.shop.access_rules=[{deny: ["+"], id_regex: "a+"}]']);
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"));
    const set = accessRuleSet(loaded.config);
    expect(set.broker).toEqual([
      {
        origin: "access_rules[0]",
        allow: ["a", "b", "c"],
        deny: [],
        principalKinds: ["group"],
        actions: ["send"],
        kinds: ["*"],
        id: "x.*",
        idRegex: undefined,
        connector: "mqtt",
      },
    ]);
    expect(set.hosts.get("default")).toEqual([]);
    expect(set.hosts.get("shop")).toMatchObject([{ origin: "hosts.shop.access_rules[0]", deny: ["+"], idRegex: "a+" }]);
  });

  it.each<[object, string]>([
    [{}, "access_rules[0]: must have allow or deny"],
    [
      { allow: ["x"], action: ["sned"] },
      'access_rules[0].action[0]: expected one of admin, monitor, config, connect, create, destroy, send, receive, consume, *, found "sned"; did you mean "send"?',
    ],
    [{ allow: ["x"], kind: ["virtual_host"] }, 'found "virtual_host"; did you mean "virtual-host"?'],
    [{ allow: ["x"], action: [] }, 'access_rules[0].action: must not be empty; ["*"] is all of them'],
    [{ allow: ["x"], id: "a.{" }, 'access_rules[0].id: the "{" at character 3 of "a.{" has no "}"'],
    [{ allow: ["x"], id_regex: "(a" }, "access_rules[0].id_regex: the regular expression"],
    [{ allow: ["x"], id: "a", id_regex: "a" }, "access_rules[0].id_regex: there is an id as well"],
    [{ allow: ["x"], connector: "ftp" }, 'access_rules[0].connector: there is no listener "ftp" (listeners)'],
  ])("are refused like %j", (rule, problem) => {
    const loaded = load([rule]);
    expect(loaded.ok ? [] : loaded.problems).toEqual([expect.stringContaining(problem)]);
  });

  it("of a virtual host cannot be about the broker", () => {
    const loaded = load([], ['hosts.default.access_rules=[{allow: ["x"], kind: [queue, connector]}]']);
    expect(loaded.ok ? [] : loaded.problems).toEqual([
      expect.stringContaining('hosts.default.access_rules[0].kind: "connector" is no part of a virtual host'),
    ]);
  });

  it("are warned of when nobody ever asks what they are about", () => {
    const rules = [
      { allow: ["x"], action: ["consume", "receive"], kind: ["topic"] },
      { allow: ["x"], action: ["connect"], kind: ["connector", "virtual-host"] },
      { allow: ["x"], action: ["send"] },
    ];
    const loaded = load(rules);
    expect(loaded.ok ? loaded.warnings.filter((text) => text.includes("access_rules")) : loaded.problems).toEqual([
      expect.stringContaining(
        "access_rules[0].action: nobody ever asks to consume a topic; that is asked of queue, dsub",
      ),
    ]);
  });

  it("are warned of when they have no effect, or name a user as a group", () => {
    const users = ["security.users.ann.password=x", "security.users.bob.password=x", "security.users.bob.groups=[ann]"];
    const rules = [{ allow: ["bob", "ann"] }, { allow: ["*"] }, { deny: ["ann"] }];
    const loaded = load(rules, users);
    expect(loaded.ok ? loaded.warnings.filter((text) => text.includes("access_rules")) : loaded.problems).toEqual([
      expect.stringContaining('access_rules[0].allow: "bob" is a user, and names of groups are expected'),
      expect.stringContaining("access_rules[2]: is never asked, for access_rules[1] decides everything before it"),
    ]);
  });
});
