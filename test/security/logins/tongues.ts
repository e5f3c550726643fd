import { request } from "node:http";
import { request as secureRequest } from "node:https";
import type { Pair } from "../../support/certificates.ts";
import { AmqpWire } from "../../support/amqp091-wire.ts";
import { Amqp10Wire } from "../../support/amqp10-wire.ts";
import type { TestBroker } from "../../support/broker.ts";
import { eventually } from "../../support/eventually.ts";
import { MqttWire } from "../../support/mqtt-wire.ts";
import { ScramClient } from "../../support/scram-client.ts";
import { StompWire } from "../../support/stomp-wire.ts";
import type { Wire } from "../../support/wire.ts";
import { ca } from "../../tls/material.ts";

/** What somebody shows. */
export interface Showing {
  readonly user?: string;
  readonly password?: string;
  readonly certificate?: Pair;
}

/** Who somebody is to the broker. */
export interface Known {
  readonly user: string | null;
  readonly groups: readonly string[];
}

/** What somebody is told who is not let in: a word or a number of the protocol. */
export interface Told {
  readonly told: string;
}

/** One way to log in. */
export interface Tongue {
  readonly name: string;
  /** Of WebSocket; absent for HTTP. */
  readonly subprotocol?: string;
  /** What a wrong login is told. */
  readonly refusal: RegExp;
  /** What it takes of what can be shown. */
  readonly takes: { readonly nothing: boolean; readonly certificate: boolean };
  /** Logs in; undefined when the broker let in. */
  login(wire: () => Promise<Wire>, showing: Showing, port: number): Promise<Told | Known | undefined>;
}

const BOTH = { nothing: true, certificate: true } as const;
const NEITHER = { nothing: false, certificate: false } as const;

function mqtt(version: 4 | 5, refusal: RegExp): Tongue {
  return {
    name: version === 5 ? "MQTT 5.0" : "MQTT 3.1.1",
    subprotocol: "mqtt",
    refusal,
    takes: BOTH,
    login: async (wire, { user, password }) => {
      const client = await MqttWire.open(await wire(), version);
      // A password alone is none in version 3.1.1, and the library that writes packets has it so in 5.0 too.
      const username = user === undefined && password === undefined ? {} : { username: user ?? "" };
      await client.sendConnect({ clientId: "c", ...username, ...(password === undefined ? {} : { password }) });
      const { reasonCode, returnCode } = await client.expect("connack");
      const code = (version === 5 ? reasonCode : returnCode) ?? 0;
      return code === 0 ? undefined : { told: String(code) };
    },
  };
}

const STOMP: Tongue = {
  name: "STOMP 1.2",
  subprotocol: "v12.stomp",
  refusal: /^ERROR ./,
  takes: BOTH,
  login: async (wire, { user, password }) => {
    const client = await StompWire.open(await wire());
    const login = user === undefined ? {} : { login: user };
    const passcode = password === undefined ? {} : { passcode: password };
    await client.sendPlain("CONNECT", { "accept-version": "1.2", host: "localhost", ...login, ...passcode });
    const { command, headers } = await client.next();
    return command === "CONNECTED" ? undefined : { told: `ERROR ${headers.get("message") ?? ""}` };
  },
};

function amqp091(mechanism: "PLAIN" | "AMQPLAIN"): Tongue {
  return {
    name: `AMQP 0-9-1 by ${mechanism} or EXTERNAL`,
    subprotocol: "amqp",
    refusal: /^403 /,
    takes: BOTH,
    login: async (wire, { user = "", password = "", certificate }) => {
      const client = await AmqpWire.greeted(await wire());
      const external = certificate !== undefined && user === "";
      await client.send(0, "connection.start-ok", {
        clientProperties: new Map([["capabilities", new Map([["authentication_failure_close", true]])]]),
        mechanism: external ? "EXTERNAL" : mechanism,
        response: external ? Buffer.alloc(0) : mechanism === "PLAIN" ? plain(user, password) : amqplain(user, password),
        locale: "en_US",
      });
      const frame = await client.next();
      if (frame.type === "method" && frame.method.name === "connection.close") {
        const { replyCode, replyText } = frame.method.arguments;
        return { told: `${replyCode} ${replyText}` };
      }
      await client.send(0, "connection.tune-ok", { channelMax: 10, frameMax: 131_072, heartbeat: 0 });
      await client.send(0, "connection.open", { virtualHost: "/" });
      await client.expect("connection.open-ok");
      return undefined;
    },
  };
}

function plain(user: string, password: string): Buffer {
  return Buffer.from(`\0${user}\0${password}`);
}

/** A field table without its length. */
function amqplain(user: string, password: string): Buffer {
  const fields = [
    ["LOGIN", user],
    ["PASSWORD", password],
  ].flatMap(([name = "", value = ""]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return [Buffer.from([name.length]), Buffer.from(`${name}S`), length, Buffer.from(value)];
  });
  return Buffer.concat(fields);
}

/** What is said in SASL after the first word; undefined for no answer. */
interface Conversation {
  readonly first: Buffer | undefined;
  readonly answer: (challenge: Buffer) => Buffer;
}

const silent = (): Buffer => Buffer.alloc(0);

/** By one mechanism, or by what fits what is shown. */
function amqp10(mechanism?: "SCRAM-SHA-256" | "OAUTHBEARER"): Tongue {
  return {
    name: `AMQP 1.0${mechanism === undefined ? "" : ` by ${mechanism}`}`,
    subprotocol: "amqp",
    refusal: /^outcome 1$/,
    takes: mechanism === undefined ? BOTH : NEITHER,
    login: async (wire, showing) => {
      const client = await Amqp10Wire.open(await wire());
      await client.header(3);
      await client.expect("sasl-mechanisms");
      const name = mechanism ?? fitting(showing);
      const { first, answer } = conversation(name, showing);
      await client.say({ type: "sasl-init", mechanism: name, initialResponse: first });
      for (;;) {
        const { performative } = await client.next();
        if (performative?.type === "sasl-challenge") {
          await client.say({ type: "sasl-response", response: answer(performative.challenge) });
        } else if (performative?.type === "sasl-outcome") {
          if (performative.code !== 0) return { told: `outcome ${performative.code}` };
          break;
        } else throw new Error(`${performative?.type} came; expected SASL`);
      }
      await client.header(0);
      await client.say({ type: "open", containerId: "c" });
      await client.expect("open");
      return undefined;
    },
  };
}

function fitting({ user, password, certificate }: Showing): string {
  if (user !== undefined || password !== undefined) return "PLAIN";
  return certificate === undefined ? "ANONYMOUS" : "EXTERNAL";
}

function conversation(mechanism: string, { user = "", password = "" }: Showing): Conversation {
  if (mechanism === "PLAIN") return { first: plain(user, password), answer: silent };
  if (mechanism === "OAUTHBEARER") {
    return { first: bearer(password), answer: silent };
  }
  if (mechanism !== "SCRAM-SHA-256") return { first: undefined, answer: silent };
  const client = new ScramClient(user, password);
  return { first: client.first(), answer: (challenge) => client.last(challenge) };
}

const bearer = (token: string): Buffer => Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`);

function mqttMethod(method: "SCRAM-SHA-256" | "OAUTHBEARER"): Tongue {
  return {
    name: `MQTT 5.0 by ${method}`,
    subprotocol: "mqtt",
    refusal: /^13[45]$/,
    takes: NEITHER,
    login: async (wire, showing) => {
      const client = await MqttWire.open(await wire(), 5);
      const { first, answer } = conversation(method, showing);
      const said = (data: Buffer | undefined) => ({
        authenticationMethod: method,
        ...(data === undefined ? {} : { authenticationData: data }),
      });
      await client.sendConnect({ clientId: "c", properties: said(first) });
      for (;;) {
        const packet = await client.next();
        if (packet.cmd === "connack") return packet.reasonCode === 0 ? undefined : { told: String(packet.reasonCode) };
        if (packet.cmd !== "auth") throw new Error(`${packet.cmd} came; expected CONNACK or AUTH`);
        const challenge = packet.properties?.authenticationData ?? Buffer.alloc(0);
        await client.send({ cmd: "auth", reasonCode: 24, properties: said(answer(challenge)) });
      }
    },
  };
}

const HTTP: Tongue = {
  name: "HTTP",
  refusal: /^401$/,
  takes: NEITHER,
  login: (_wire, { user, password, certificate }, port) => {
    const basic = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    const authorization = user === undefined ? `Bearer ${password}` : basic;
    const nothing = user === undefined && password === undefined;
    const options = { host: "127.0.0.1", port, path: "/api/v1/session", headers: nothing ? {} : { authorization } };
    return new Promise((resolve, reject) => {
      const asked =
        certificate === undefined
          ? request(options)
          : secureRequest({ ...options, ca: ca.certificate, cert: certificate.certificate, key: certificate.key });
      asked.on("response", (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => {
          resolve(response.statusCode === 200 ? known(JSON.parse(body)) : { told: String(response.statusCode) });
        });
      });
      asked.on("error", reject);
      asked.end();
    });
  },
};

function known({ user, groups }: Known): Known {
  return { user, groups };
}

/** All ways that there are, but for mechanisms that only some modules know. */
export const TONGUES: readonly Tongue[] = [
  STOMP,
  mqtt(4, /^[45]$/),
  mqtt(5, /^13[45]$/),
  amqp091("PLAIN"),
  amqp091("AMQPLAIN"),
  amqp10(),
  HTTP,
];
/** Those for users whose passwords the broker knows. */
export const BY_SCRAM: readonly Tongue[] = [mqttMethod("SCRAM-SHA-256"), amqp10("SCRAM-SHA-256")];
/** Those for tokens. */
export const BY_BEARER: readonly Tongue[] = [mqttMethod("OAUTHBEARER"), amqp10("OAUTHBEARER")];

/** Who the broker says is connected; there is to be one. */
export async function inside({ server }: TestBroker): Promise<Known> {
  const clients = () => [...(server.broker.hosts.get("default")?.clients ?? [])];
  await eventually(() => clients().length === 1);
  const { user = null, groups } = clients()[0]?.login ?? { groups: [] };
  return { user, groups };
}
