/* Clients of different protocols that say and hear the same things, for matrices of all pairs of them. */
import type { IPublishPacket } from "mqtt";
import { type Got, MqttjsClient } from "../clients/mqttjs-client.ts";
import { eventually } from "../support/eventually.ts";
import { type ReceivedFrame, StompWire } from "../support/stomp-wire.ts";

/** A destination whose name needs no escape anywhere. */
export interface Place {
  readonly kind: "queue" | "topic";
  readonly levels: readonly string[];
}

/** A message in no protocol's words. */
export interface Note {
  readonly body: Buffer;
  readonly properties?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly correlation?: string;
  readonly replyTo?: Place;
}

/** How a message is sent. */
interface Sending {
  readonly durable?: boolean;
  readonly retain?: "set" | "remove";
  readonly lifetimeSeconds?: number;
}

/** What comes to a subscription. */
interface Inbox {
  next(): Promise<Note>;
}

/** One protocol's client. */
interface End {
  send(place: Place, note: Note, sending?: Sending): Promise<void>;
  /** Subscribes and acknowledges what comes. */
  receive(place: Place): Promise<Inbox>;
  /** The same by a subscription that goes on without the connection. */
  receiveDurably(place: Place): Promise<Inbox>;
  /** Leaves and comes back later under the same name. */
  leave(): Promise<void>;
}

/** A protocol in a matrix. */
export interface Protocol {
  readonly name: string;
  /** Whether it can say more than a body. */
  readonly says: "everything" | "body";
  connect(port: number, name?: string): Promise<End>;
}

export function topic(...levels: string[]): Place {
  return { kind: "topic", levels };
}

export function queue(...levels: string[]): Place {
  return { kind: "queue", levels };
}

class StompEnd implements End {
  readonly #wire: StompWire;

  constructor(wire: StompWire) {
    this.#wire = wire;
  }

  async send(place: Place, note: Note, { durable = false, retain, lifetimeSeconds }: Sending = {}): Promise<void> {
    const { body, properties = {}, contentType, correlation, replyTo } = note;
    await this.#wire.request(
      "SEND",
      {
        destination: stompName(place),
        "content-length": String(body.length),
        ...properties,
        ...(contentType === undefined ? {} : { "content-type": contentType }),
        ...(correlation === undefined ? {} : { "correlation-id": correlation }),
        ...(replyTo === undefined ? {} : { "reply-to": stompName(replyTo) }),
        ...(durable ? { persistent: "true" } : {}),
        ...(retain === undefined ? {} : { retain }),
        ...(lifetimeSeconds === undefined ? {} : { ttl: String(lifetimeSeconds * 1000) }),
      },
      body,
    );
  }

  receive(place: Place): Promise<Inbox> {
    return this.#subscribe({ id: "1", destination: stompName(place), ack: "client-individual" });
  }

  receiveDurably(place: Place): Promise<Inbox> {
    const destination = stompName(place);
    return this.#subscribe({ id: "durable", destination, persistent: "true", ack: "client-individual" });
  }

  leave(): Promise<void> {
    return this.#wire.request("DISCONNECT");
  }

  async #subscribe(headers: Record<string, string>): Promise<Inbox> {
    await this.#wire.request("SUBSCRIBE", headers);
    const next = async (): Promise<Note> => {
      const message = await this.#wire.message();
      await this.#wire.request("ACK", this.#wire.acknowledging(message));
      return noteOfFrame(message);
    };
    return { next };
  }
}

class MqttEnd implements End {
  readonly #client: MqttjsClient;

  constructor(client: MqttjsClient) {
    this.#client = client;
  }

  async send(place: Place, note: Note, { durable = false, retain, lifetimeSeconds }: Sending = {}): Promise<void> {
    const { body, properties, contentType, correlation, replyTo } = note;
    const five = {
      ...(properties === undefined ? {} : { userProperties: { ...properties } }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation) }),
      ...(replyTo === undefined ? {} : { responseTopic: mqttName(replyTo) }),
      ...(lifetimeSeconds === undefined ? {} : { messageExpiryInterval: lifetimeSeconds }),
    };
    await this.#client.mqtt.publishAsync(mqttName(place), retain === "remove" ? "" : body, {
      qos: durable ? 1 : 0,
      retain: retain !== undefined,
      ...(Object.keys(five).length === 0 ? {} : { properties: five }),
    });
  }

  async receive(place: Place): Promise<Inbox> {
    await this.#client.mqtt.subscribeAsync(mqttName(place), { qos: 1 });
    let taken = 0;
    const next = async (): Promise<Note> => {
      await eventually(() => this.#client.got.length > taken);
      const got = this.#client.got[taken++];
      if (got === undefined) throw new Error("Nothing came");
      return noteOfPacket(got);
    };
    return { next };
  }

  receiveDurably(place: Place): Promise<Inbox> {
    return this.receive(place);
  }

  async leave(): Promise<void> {
    await this.#client.mqtt.endAsync();
  }
}

function mqtt(level: 4 | 5): (port: number, name?: string) => Promise<End> {
  return async (port, name) => {
    const keeping = level === 5 ? { properties: { sessionExpiryInterval: 1000 } } : {};
    const kept = name === undefined ? {} : { clientId: name, clean: false, ...keeping };
    return new MqttEnd(await MqttjsClient.connect(port, level, kept));
  };
}

export const STOMP: Protocol = {
  name: "STOMP",
  says: "everything",
  connect: async (port) => new StompEnd(await StompWire.connect(port)),
};

export const MQTT_FIVE: Protocol = { name: "MQTT 5.0", says: "everything", connect: mqtt(5) };

export const MQTT_THREE: Protocol = { name: "MQTT 3.1.1", says: "body", connect: mqtt(4) };

/** Headers that are not properties of the message's sender. */
const STOMP_OWN: ReadonlySet<string> = new Set([
  "ack",
  "content-length",
  "content-type",
  "correlation-id",
  "destination",
  "expires",
  "message-id",
  "persistent",
  "redelivered",
  "reply-to",
  "retain",
  "subscription",
  "timestamp",
]);

function noteOfFrame({ headers, body }: ReceivedFrame): Note {
  const replyTo = headers.get("reply-to");
  return noteOf(body, {
    properties: [...headers].filter(([name]) => !STOMP_OWN.has(name)),
    contentType: headers.get("content-type"),
    correlation: headers.get("correlation-id"),
    replyTo: replyTo === undefined ? undefined : placeOf(replyTo, /^\/(queue|topic)\/(.*)$/, "."),
  });
}

function noteOfPacket({ body, packet }: Got): Note {
  const said: IPublishPacket["properties"] = packet.properties ?? {};
  // The name that a STOMP message has is no property of its sender.
  const pairs = Object.entries({ ...said.userProperties }).filter(([name]) => name !== "message-id");
  return noteOf(body, {
    properties: pairs.map(([name, value]) => [name, String(value)]),
    contentType: said.contentType,
    correlation: said.correlationData?.toString(),
    replyTo: said.responseTopic === undefined ? undefined : placeOf(said.responseTopic, /^(?:\$(queue)\/)?(.*)$/, "/"),
  });
}

/** Without what was not said, so that notes can be compared. */
function noteOf(
  body: Buffer,
  found: {
    readonly properties: readonly (readonly [string, string])[];
    readonly contentType: string | undefined;
    readonly correlation: string | undefined;
    readonly replyTo: Place | undefined;
  },
): Note {
  const { properties, contentType, correlation, replyTo } = found;
  return {
    body,
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(correlation === undefined ? {} : { correlation }),
    ...(replyTo === undefined ? {} : { replyTo }),
  };
}

function placeOf(text: string, form: RegExp, separator: string): Place {
  const [, kind, name = ""] = form.exec(text) ?? [];
  return { kind: kind === "queue" ? "queue" : "topic", levels: name.split(separator) };
}

function stompName({ kind, levels }: Place): string {
  return `/${kind}/${levels.join(".")}`;
}

function mqttName({ kind, levels }: Place): string {
  return `${kind === "queue" ? "$queue/" : ""}${levels.join("/")}`;
}
