import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { RESOURCE_KINDS } from "../../core/access/access.ts";
import { AccessRules } from "../../core/access/rules.ts";
import { type AccessRuleSettings, accessRuleSet } from "../../src/config/access.ts";
import { defaultConfig } from "../../src/config/load.ts";
import { startBroker, temporaryFolder, type TestBroker } from "../support/broker.ts";
import { Wire } from "../support/wire.ts";
import { ca, caFile, tlsSettings } from "../tls/material.ts";
import { AMQP_091 } from "./matrix/amqp091.ts";
import { AMQP_10 } from "./matrix/amqp10.ts";
import { HTTP } from "./matrix/http.ts";
import { MQTT_311, MQTT_5 } from "./matrix/mqtt.ts";
import { type Attempt, type Operation, root, type Speaker, type Who } from "./matrix/operation.ts";
import { STOMP } from "./matrix/stomp.ts";

const SPEAKERS: readonly Speaker[] = [STOMP, MQTT_311, MQTT_5, AMQP_091, AMQP_10, HTTP];

const pump = ca.issue({ commonName: "pump-7", organization: "Example" });
const USERS = ["ann", "bob"].flatMap((user) => [
  `security.users.${user}.password=secret`,
  `security.users.${user}.groups=[${user === "ann" ? "staff" : ""}]`,
]);

const ANN: Who = { user: "ann", clientId: "c-1", by: "plain" };
const BOB: Who = { ...ANN, user: "bob", clientId: "c-2" };

const CONFIG = defaultConfig("/");
/** A rule that says nothing. */
const UNSAID: AccessRuleSettings = {
  allow: [],
  deny: [],
  separator: "",
  principal_kind: ["group"],
  action: ["*"],
  kind: ["*"],
  id: "",
  id_regex: "",
  connector: "",
};

/** What is said of a rule. */
type Given = Partial<AccessRuleSettings>;

/** A way for a rule to be about somebody, or something, and about others not. */
interface Variant {
  readonly what: string;
  readonly verdict: "allow" | "deny";
  readonly names?: readonly string[];
  readonly principals?: AccessRuleSettings["principal_kind"][number];
  /** What the rule says besides; of the names of an operation's things. */
  readonly more?: (operation: Operation, token: string) => Given;
  readonly meant: Who;
  readonly other?: Who;
  /** What the name ends with. */
  readonly leaf?: string;
  readonly otherLeaf?: string;
}

/** Their rules are about the thing that is tried, and nobody else's. */
const PRINCIPALS: readonly Variant[] = [
  { what: "a user", verdict: "allow", names: ["ann"], principals: "user", meant: ANN, other: BOB },
  { what: "a user", verdict: "deny", names: ["ann"], principals: "user", meant: ANN, other: BOB },
  { what: "a group", verdict: "allow", names: ["staff"], principals: "group", meant: ANN, other: BOB },
  { what: "a group", verdict: "deny", names: ["staff"], principals: "group", meant: ANN, other: BOB },
  { what: "whoever has a group", verdict: "allow", names: ["+"], principals: "group", meant: ANN, other: BOB },
  { what: "anybody", verdict: "deny", names: ["*"], principals: "group", meant: BOB },
  { what: "an address", verdict: "deny", names: ["10.0.0.7"], principals: "address", meant: by("proxy"), other: ANN },
  { what: "a network", verdict: "allow", names: ["10.0.0.0/8"], principals: "address", meant: by("proxy"), other: ANN },
  {
    what: "a certificate",
    verdict: "deny",
    names: ["CN=pump-7,O=Example"],
    principals: "certificate",
    meant: by("certificate"),
    other: ANN,
  },
  {
    what: "a certificate",
    verdict: "allow",
    names: ["CN=pump-7,O=Example"],
    principals: "certificate",
    meant: by("certificate"),
    other: ANN,
  },
  {
    what: "a connector",
    verdict: "deny",
    more: () => ({ connector: "mqtt" }),
    meant: by("second listener"),
    other: ANN,
  },
];

/** Their rules are about everybody, and names of some kind. */
const NAMES: readonly Variant[] = [
  { what: "a name", verdict: "deny", more: named("leaf"), meant: ANN, other: ANN, otherLeaf: "other" },
  { what: "a wildcard", verdict: "deny", more: named("*"), meant: ANN },
  {
    what: "a part of a wildcard",
    verdict: "allow",
    more: (operation, token) => ({ id: operation.name(token, "*").replace(token, "*") }),
    meant: ANN,
  },
  {
    what: "an expression",
    verdict: "deny",
    more: ({ name }, token) => ({ id_regex: name(token, "LEAF").replaceAll(".", "[.]").replace("LEAF", "l[a-z]+") }),
    meant: ANN,
    other: ANN,
    otherLeaf: "other",
  },
  { what: "a user's own", verdict: "allow", more: named("%u"), meant: ANN, other: ANN, leaf: "ann", otherLeaf: "bob" },
];

const MANAGEMENT: Variant = {
  what: "a connector",
  verdict: "deny",
  more: () => ({ connector: "management" }),
  meant: ANN,
};

const OWN: Variant = {
  what: "a client's own",
  verdict: "allow",
  more: named("%c"),
  meant: ANN,
  other: ANN,
  leaf: "c-1",
  otherLeaf: "c-2",
};

function by(way: Who["by"]): Who {
  return { ...ANN, by: way };
}

function named(leaf: string): NonNullable<Variant["more"]> {
  return ({ name }, token) => ({ id: name(token, leaf) });
}

function variantsOf(speaker: Speaker, { fixed = false, byClientId = false }: Operation): readonly Variant[] {
  // Over HTTP there is one listener, and nobody is asked for a certificate here.
  const principals =
    speaker === HTTP
      ? [...PRINCIPALS.filter(({ meant }) => meant.by in { plain: 1, proxy: 1 }), MANAGEMENT]
      : PRINCIPALS;
  if (fixed) return principals;
  return [...principals, ...NAMES, ...(byClientId ? [] : [OWN])];
}

/** A broker for all protocols, behind a proxy if there is one, and how to reach it. */
class Arena {
  readonly broker: TestBroker;
  readonly settings: readonly string[];
  #count = 0;

  constructor(broker: TestBroker, settings: readonly string[]) {
    this.broker = broker;
    this.settings = settings;
  }

  static async start(): Promise<Arena> {
    const folder = temporaryFolder();
    const groups = `${folder}/groups.properties`;
    writeFileSync(groups, "machines=CN=pump-7,O=Example\n");
    const settings = [
      ...tlsSettings(folder),
      `tls.ca=${caFile(folder)}`,
      "tls.client_certificates=want",
      "listeners.stomp.proxy_protocol.trusted=[127.0.0.0/8]",
      "listeners.mqtt.enabled=true",
      "listeners.mqtt.port=0",
      "management.enabled=true",
      "management.trusted_proxies=[127.0.0.0/8]",
      ...USERS,
    ];
    return new Arena(await startBroker(settings), settings);
  }

  /** A name that nothing has. */
  token(): string {
    return `t${++this.#count}`;
  }

  /** Goes by other rules from now on. */
  rule(rules: readonly Given[]): void {
    const { access } = this.broker.server.broker;
    if (!(access instanceof AccessRules)) throw new Error("The broker does not go by rules");
    access.replace(accessRuleSet({ ...CONFIG, access_rules: rules.map((rule) => ({ ...UNSAID, ...rule })) }));
  }

  async try(operation: Operation, who: Who, [token, leaf]: readonly [string, string], rules: readonly Given[]) {
    const host = this.broker.server.broker.host(undefined);
    if (host === undefined) throw new Error("There is no default host");
    const name = operation.name(token, leaf);
    this.rule([]);
    const client = root(host);
    operation.prepare?.(client, name);
    client.close();
    this.rule(rules);
    const url = `http://127.0.0.1:${this.broker.managementPort}`;
    const attempt: Attempt = { who, host, token, leaf, name, url, dial: () => this.#dial(who) };
    return operation.attempt(attempt);
  }

  async #dial({ by: way }: Who): Promise<Wire> {
    const { port, server } = this.broker;
    if (way === "certificate") {
      return Wire.secure(port, { ca: ca.certificate, cert: pump.certificate, key: pump.key });
    }
    if (way === "second listener") {
      return Wire.connect(server.listeners.find(({ name }) => name === "mqtt")?.port ?? 0);
    }
    const wire = await Wire.connect(port);
    if (way === "proxy") await wire.send("PROXY TCP4 10.0.0.7 127.0.0.1 5000 61613\r\n");
    return wire;
  }
}

/** The rules of one attempt; whatever they say nothing of is allowed, but for what only `allow` may let pass. */
function rulesOf(variant: Variant, operation: Operation, token: string, more: Given): Given[] {
  const { verdict, names = ["*"], principals = "*" } = variant;
  const about: Given = { action: [operation.action], kind: [operation.kind] };
  const rule: Given = { [verdict]: names, principal_kind: [principals], ...about, ...more };
  const all = operation.fixed === true ? {} : { id: operation.name(token, "*") };
  const rest = verdict === "allow" ? [{ deny: ["*"], ...about, ...all }] : [];
  return [rule, ...rest, { allow: ["*"] }];
}

/** What no message takes. */
const UNASKED = ["admin", "monitor", "config"] as const;

/** Rules that deny what is much like it, and have no say. */
function elsewhere({ action, kind }: Operation): Given[] {
  const kinds = RESOURCE_KINDS.filter((each) => each !== kind && each !== "virtual-host" && each !== "connector");
  return [
    { deny: ["*"], action: UNASKED.filter((each) => each !== action), kind: [kind] },
    { deny: ["*"], action: [action], kind: kinds, id_regex: "t[0-9]+.*" },
    { allow: ["*"] },
  ];
}

describe.each(SPEAKERS)("over $protocol, the right to", (speaker) => {
  it.each(speaker.operations)(
    "$what is asked for by every kind of rule, and refused in its own words",
    async (operation) => {
      const arena = await Arena.start();
      expect(
        await arena.try(operation, ANN, [arena.token(), "leaf"], elsewhere(operation)),
        "elsewhere",
      ).toBeUndefined();
      for (const variant of variantsOf(speaker, operation)) {
        const { what, verdict, meant, other, leaf = "leaf", otherLeaf = leaf } = variant;
        const denies = verdict === "deny";
        for (const [who, end, isRefused] of [
          [meant, leaf, denies],
          [other, otherLeaf, !denies],
        ] as const) {
          if (who === undefined) continue;
          const token = arena.token();
          const more =
            variant.more?.(operation, token) ?? (operation.fixed === true ? {} : { id: operation.name(token, end) });
          const refusal = await arena.try(operation, who, [token, end], rulesOf(variant, operation, token, more));
          const about = `${verdict} ${what}: ${JSON.stringify({ ...who, ...more })}`;
          expect(refusal === undefined ? "allowed" : "refused", `${about} ${refusal ?? ""}`).toBe(
            isRefused ? "refused" : "allowed",
          );
        }
      }
    },
  );
});
