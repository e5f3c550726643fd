import { describe, expect, it } from "vitest";
import {
  type Action,
  type Decision,
  explainDecision,
  type Login,
  type ResourceKind,
  type Subject,
} from "../../core/access/access.ts";
import type { AccessRule } from "../../core/access/rule.ts";
import { AccessRules } from "../../core/access/rules.ts";

const ANN: Subject = {
  user: "ann",
  groups: ["staff", "ops"],
  principals: [
    { kind: "address", name: "10.0.0.7" },
    { kind: "certificate", name: "CN=ann,O=Example" },
  ],
  listener: "mqtt",
  clientId: "pump-7",
};
const NOBODY: Subject = { user: undefined, groups: [], principals: [], listener: "stomp", clientId: undefined };

function rule(origin: string, given: Partial<AccessRule>): AccessRule {
  return { origin, allow: [], deny: [], principalKinds: ["group"], actions: ["*"], kinds: ["*"], ...given };
}

function ask(
  rules: readonly Partial<AccessRule>[],
  [action, kind, name]: readonly [Action, ResourceKind, string],
  { subject = ANN, ofHost = [] }: { subject?: Subject; ofHost?: readonly Partial<AccessRule>[] } = {},
): Decision {
  const broker = rules.map((given, index) => rule(`rule ${index}`, given));
  const host = ofHost.map((given, index) => rule(`host rule ${index}`, given));
  const access = new AccessRules({ broker, hosts: new Map([["h", host]]) });
  return access.permissions(subject, "h").decide(action, kind, name);
}

const SEND = ["send", "queue", "orders.eu"] as const;

describe("access rules", () => {
  it("allow everything when there are none", () => {
    expect(ask([], SEND)).toEqual({ allowed: true, rule: undefined, except: undefined });
  });

  it("refuse what none of them is about, as soon as there is one anywhere", () => {
    const elsewhere = new Map([["other", [rule("rule 0", { allow: ["*"] })]]]);
    const access = new AccessRules({ broker: [], hosts: elsewhere });
    const refused = { allowed: false, rule: undefined, except: undefined };
    expect(access.permissions(ANN, "h").decide(...SEND)).toEqual(refused);
    expect(access.permissions(ANN, "other").decide(...SEND)).toMatchObject({ allowed: true });
    expect(access.allows(ANN, "admin", "broker", "delos")).toBe(false);
    expect(access.allows(ANN, "admin", "virtual-host", "other")).toBe(true);
  });

  it("are asked in their order, those of the virtual host first", () => {
    const rules = [{ allow: ["ops"] }, { deny: ["staff"] }];
    expect(ask(rules, SEND)).toMatchObject({ allowed: true, rule: "rule 0" });
    expect(ask(rules.toReversed(), SEND)).toMatchObject({ allowed: false, rule: "rule 0" });
    expect(ask(rules, SEND, { ofHost: [{ deny: ["ops"] }] })).toMatchObject({ allowed: false, rule: "host rule 0" });
  });

  it("deny before they allow", () => {
    expect(ask([{ allow: ["ops"], deny: ["staff"] }], SEND)).toMatchObject({ allowed: false, rule: "rule 0" });
    expect(ask([{ allow: ["ops"], deny: ["guests"] }], SEND)).toMatchObject({ allowed: true });
  });

  it("of a virtual host say nothing of the broker and its connectors", () => {
    for (const kind of ["broker", "connector"] as const) {
      expect(ask([], ["connect", kind, "x"], { ofHost: [{ allow: ["*"] }] })).toMatchObject({ allowed: false });
      expect(ask([{ allow: ["*"] }], ["connect", kind, "x"])).toMatchObject({ allowed: true });
    }
  });

  it.each<[string, Partial<AccessRule>, boolean, boolean]>([
    ["anybody", { allow: ["*"] }, true, true],
    ["a group", { allow: ["staff"] }, true, false],
    ["another group", { allow: ["guests"] }, false, false],
    ["one of several", { allow: ["guests", "ops"] }, true, false],
    ["a user who is no group", { allow: ["ann"] }, false, false],
    ["a user", { allow: ["ann"], principalKinds: ["user"] }, true, false],
    ["an address", { allow: ["10.0.0.7"], principalKinds: ["address"] }, true, false],
    ["a certificate", { allow: ["CN=ann,O=Example"], principalKinds: ["certificate"] }, true, false],
    ["a part of a certificate", { allow: ["CN=ann"], principalKinds: ["certificate"] }, false, false],
    ["a name of whatever kind", { allow: ["10.0.0.7"], principalKinds: ["*"] }, true, false],
    ["whoever has a group", { allow: ["+"] }, true, false],
    ["whoever has a user", { allow: ["+"], principalKinds: ["user"] }, true, false],
    ["who came to a listener", { allow: ["*"], connector: "stomp" }, false, true],
  ])("name %s", (_what, given, ann, nobody) => {
    expect(ask([given], SEND).allowed).toBe(ann);
    expect(ask([given], SEND, { subject: NOBODY }).allowed).toBe(nobody);
  });

  it.each<[string, Partial<AccessRule>, readonly [Action, ResourceKind, string], boolean]>([
    ["an action", { actions: ["send"] }, SEND, true],
    ["another action", { actions: ["receive", "consume"] }, SEND, false],
    ["a kind", { kinds: ["topic", "queue"] }, SEND, true],
    ["another kind", { kinds: ["topic"] }, SEND, false],
    ["a name", { id: "orders.eu" }, SEND, true],
    ["another name", { id: "orders" }, SEND, false],
    ["one level", { id: "orders.*" }, SEND, true],
    ["the rest", { id: "orders.**" }, SEND, true],
    ["no less than a level of it", { id: "orders.eu.**" }, SEND, false],
    ["the rest or nothing", { id: "orders.eu.#" }, SEND, true],
    ["an expression in a level", { id: "orders.{e[uv]}" }, SEND, true],
    ["an escaped name", { id: "a%2Eb" }, ["send", "topic", "a%2Eb"], true],
    ["an escaped name that is two levels", { id: "a.b" }, ["send", "topic", "a%2Eb"], false],
    ["an expression", { idRegex: "(orders|bills)[.].+" }, SEND, true],
    ["an expression of only a part", { idRegex: "orders" }, SEND, false],
    ["a session", { id: "mqtt/pump-7" }, ["consume", "dsub", "mqtt/pump-7"], true],
    ["all sessions", { id: "mqtt/*" }, ["consume", "dsub", "mqtt/pump-7"], true],
    ["sessions by level", { id: "mqtt/*" }, ["consume", "dsub", "mqtt/pump.7"], false],
    ["an exchange", { id: "amq.topic" }, ["send", "exchange", "amq.topic"], true],
    ["a slash in a queue's name, which is no level", { id: "a/*" }, ["send", "queue", "a/b"], true],
    ["two levels where there is a slash", { id: "a.*" }, ["send", "queue", "a/b"], false],
    ["an exchange with a reserved sign", { id: "a%2Ab" }, ["send", "exchange", "a*b"], true],
  ])("are about %s", (_what, given, what, allowed) => {
    expect(ask([{ ...given, allow: ["*"] }], what).allowed).toBe(allowed);
  });
});

describe("a placeholder", () => {
  it.each<[id: string, what: readonly [Action, ResourceKind, string], Partial<Subject>, boolean]>([
    ["clients.%c.**", ["send", "topic", "clients.pump-7.state"], {}, true],
    ["clients.%c.**", ["send", "topic", "clients.pump-8.state"], {}, false],
    ["users.%u", ["send", "topic", "users.ann"], {}, true],
    ["users.x-%u-%c", ["send", "topic", "users.x-ann-pump-7"], {}, true],
    ["users.*-%c", ["send", "topic", "users.any-pump-7"], {}, true],
    ["users.*-%c", ["send", "topic", "users.any-pump-8"], {}, false],
    // What is in the name stands for itself.
    ["clients.%c.**", ["send", "topic", "clients.other.state"], { clientId: "*" }, false],
    ["clients.%c.**", ["send", "topic", "clients.a.state"], { clientId: "#" }, false],
    ["clients.%c", ["send", "topic", "clients.a.b"], { clientId: "a.b" }, false],
    ["clients.%c", ["send", "topic", "clients.a%2Eb"], { clientId: "a.b" }, true],
    ["clients.*-%c", ["send", "topic", "clients.x-y"], { clientId: "{.*}" }, false],
    ["clients.%c", ["send", "topic", "clients.{x}"], { clientId: "%u" }, false],
    ["mqtt/%c", ["consume", "dsub", "mqtt/a/b.c"], { clientId: "a/b.c" }, true],
    ["mqtt/%c", ["consume", "dsub", "mqtt/a.b.c"], { clientId: "a/b.c" }, false],
    ["mqtt/%c/*", ["consume", "dsub", "mqtt/a/b/x"], { clientId: "a/b" }, true],
    // What is not there is nobody's.
    ["clients.%c", ["send", "topic", "clients."], { clientId: undefined }, false],
    ["clients.%u", ["send", "topic", "clients."], { user: "" }, false],
    // "%c0" is an escape in canonical spelling, though of nothing.
    ["clients.%c0", ["send", "topic", "clients.%c0"], {}, true],
    [`clients.*-%c`, ["send", "topic", "clients.x"], { clientId: "c".repeat(2000) }, false],
  ])("in %s about %j of %j", (id, what, subject, allowed) => {
    expect(ask([{ id, allow: ["*"] }], what, { subject: { ...ANN, ...subject } }).allowed).toBe(allowed);
  });

  it("may not stand in an expression", () => {
    expect(() => ask([{ id: "a.{%c}", allow: ["*"] }], SEND)).toThrow(/placeholder/);
  });
});

describe("a wildcard", () => {
  const all = ["receive", "topic", "plant.**"] as const;

  it.each<[string, readonly Partial<AccessRule>[], Partial<Decision>]>([
    ["is allowed by a rule about all of it", [{ allow: ["*"], id: "plant.#" }], { allowed: true, except: undefined }],
    ["is not allowed by rules about parts", [{ allow: ["*"], id: "plant.*" }], { allowed: false, rule: undefined }],
    [
      "is allowed but for what an earlier rule denies",
      [{ deny: ["*"], id: "plant.secret.*" }, { allow: ["*"] }],
      { allowed: true, rule: "rule 1", except: "rule 0" },
    ],
    [
      "has nothing to do with what is denied elsewhere",
      [{ deny: ["*"], id: "office.**" }, { allow: ["*"] }],
      { allowed: true, except: undefined },
    ],
    [
      "has nothing to do with what is denied later",
      [{ allow: ["*"] }, { deny: ["*"], id: "plant.secret.*" }],
      { allowed: true, except: undefined },
    ],
    [
      "is denied by a rule about all of it",
      [{ deny: ["*"], id: "#" }, { allow: ["*"] }],
      { allowed: false, rule: "rule 0" },
    ],
    ["is not allowed by an expression", [{ allow: ["*"], idRegex: ".*" }], { allowed: false }],
    [
      "may be denied in part by an expression",
      [{ deny: ["*"], idRegex: "x" }, { allow: ["*"] }],
      { allowed: true, except: "rule 0" },
    ],
  ])("%s", (_what, rules, decision) => {
    expect(ask(rules, all)).toMatchObject(decision);
  });

  it("for a queue may have an expression of its own, which only the same one covers", () => {
    const what = ["consume", "queue", "a.{x+}"] as const;
    expect(ask([{ allow: ["*"], id: "a.{x+}" }], what).allowed).toBe(true);
    expect(ask([{ allow: ["*"], id: "a.{x*}" }], what).allowed).toBe(false);
    expect(ask([{ allow: ["*"], id: "a.*" }], what).allowed).toBe(true);
  });
});

describe("rules that are replaced", () => {
  it("hold at once for permissions that are there", () => {
    const access = new AccessRules();
    const permissions = access.permissions(ANN, "h");
    const { version } = permissions;
    expect(permissions.decide(...SEND).allowed).toBe(true);
    expect(permissions.receivesAll).toBe(true);
    access.replace({ broker: [rule("r", { deny: ["*"] })], hosts: new Map() });
    expect(permissions.decide(...SEND)).toMatchObject({ allowed: false, rule: "r" });
    expect(permissions.receivesAll).toBe(false);
    expect(permissions.version).not.toBe(version);
  });

  it("stay as they were when one of the new ones cannot be read", () => {
    const access = new AccessRules();
    expect(() => access.replace({ broker: [rule("r", { deny: ["*"], id: "{" })], hosts: new Map() })).toThrow(/"}"/);
    expect(access.permissions(ANN, "h").decide(...SEND).allowed).toBe(true);
  });

  it("hold for whom a client has become", () => {
    const access = new AccessRules({ broker: [rule("r", { allow: ["staff"] })], hosts: new Map() });
    const permissions = access.permissions(ANN, "h");
    expect(permissions.decide(...SEND).allowed).toBe(true);
    permissions.become({ ...ANN, groups: [] });
    expect(permissions.decide(...SEND).allowed).toBe(false);
  });
});

function about(login: Login, decision: Decision): string {
  return explainDecision(login, "send", { kind: "queue", name: "q" }, decision);
}

describe("what is said of a decision", () => {
  it("names who, what, and the rule", () => {
    expect(about(ANN, ask([{ deny: ["ops"] }], SEND))).toBe(
      "User ann may not send the queue q: rule 0 denies it " +
        "(group staff, group ops, address 10.0.0.7, certificate CN=ann,O=Example)",
    );
    expect(about(NOBODY, ask([{ allow: ["ops"] }], SEND, { subject: NOBODY }))).toBe(
      "User (none) may not send the queue q: no access rule allows it",
    );
    expect(about(ANN, ask([{ allow: ["ops"] }], SEND))).toBe("User ann may send the queue q: rule 0 allows it");
  });

  it("names only some of very many groups", () => {
    const groups = Array.from({ length: 20 }, (_, index) => `g${index}`);
    const text = about({ user: "ann", groups }, ask([{ deny: ["*"] }], SEND));
    expect(text).toMatch(/\(group g0, .*group g7, and 12 more\)$/);
  });
});
