import { generate, type IConnackPacket, type IConnectPacket, type IPublishPacket, parser } from "mqtt-packet";
import type { ISubscription, Packet } from "mqtt-packet";
import { Wire } from "./wire.ts";

/** A version of MQTT as CONNECT names it: 3.1, 3.1.1, 5.0. */
export type MqttVersion = 3 | 4 | 5;

/** A packet from the broker. */
export type Received = Packet & {
  /** All of it as it came. */
  readonly bytes: Buffer;
};

/** A packet from the broker of one type. */
export type ReceivedAs<Command extends Packet["cmd"]> = Extract<Packet, { cmd: Command }> & { readonly bytes: Buffer };

/** What a test wants of a CONNECT; the version is another argument. */
export type ConnectOptions = Partial<Omit<IConnectPacket, "cmd" | "protocolVersion" | "protocolId" | "password">> & {
  readonly version?: MqttVersion;
  readonly password?: string;
};

/** What a test wants of a PUBLISH besides topic and payload. */
export type PublishOptions = Partial<Omit<IPublishPacket, "cmd" | "topic" | "payload">>;

type Acknowledgement = "puback" | "pubrec" | "pubrel" | "pubcomp";

/** An MQTT client made of nothing but packets: it neither answers nor checks anything by itself. */
export class MqttWire implements Disposable {
  readonly wire: Wire;
  readonly version: MqttVersion;
  /** What CONNACK said. */
  connack: IConnackPacket = { cmd: "connack", sessionPresent: false };
  #lastId = 0;

  private constructor(wire: Wire, version: MqttVersion) {
    this.wire = wire;
    this.version = version;
  }

  /** A connection on which nothing was said yet. */
  static async open(port: number | Wire, version: MqttVersion = 5): Promise<MqttWire> {
    return new MqttWire(await Wire.over(port), version);
  }

  /** A connection that was accepted; of 5.0 with a clean start unless something else is said. */
  static async connect(port: number, options: ConnectOptions = {}): Promise<MqttWire> {
    const client = await MqttWire.open(port, options.version);
    await client.sendConnect(options);
    client.connack = await client.expect("connack");
    const code = client.version === 5 ? client.connack.reasonCode : client.connack.returnCode;
    if (code !== 0) throw new Error(`CONNACK refuses with ${code}: ${client.connack.properties?.reasonString}`);
    return client;
  }

  /** Sends a CONNECT. */
  sendConnect({ version: _version, password, ...options }: ConnectOptions = {}): Promise<void> {
    return this.send({
      cmd: "connect",
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.version,
      clientId: "",
      clean: true,
      keepalive: 0,
      ...options,
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
    });
  }

  send(packet: Packet): Promise<void> {
    return this.wire.send(this.encode(packet));
  }

  /** The bytes of a packet in this version. */
  encode(packet: Packet): Buffer {
    return generate(packet, { protocolVersion: this.version });
  }

  /** Sends bytes written as hexadecimal, with texts in single quotes and blanks anywhere. */
  sendHex(text: string): Promise<void> {
    return this.wire.send(hex(text));
  }

  /** A packet identifier that this client did not use for some time. */
  nextId(): number {
    this.#lastId = (this.#lastId % 0xffff) + 1;
    return this.#lastId;
  }

  /** The next packet, whichever it is. */
  async next(): Promise<Received> {
    let head = await this.wire.take(2);
    while ((head.at(-1) ?? 0) >= 0x80) head = Buffer.concat([head, await this.wire.take(1)]);
    let length = 0;
    for (let at = head.length - 1; at > 0; at--) length = length * 128 + ((head[at] ?? 0) & 127);
    const bytes = Buffer.concat([head, await this.wire.take(length)]);
    return Object.assign(this.#parse(bytes), { bytes });
  }

  /** The next packet, which must be of this type. */
  async expect<Command extends Packet["cmd"]>(command: Command): Promise<ReceivedAs<Command>> {
    const packet = await this.next();
    if (is(packet, command)) return packet;
    throw new Error(`Expected ${command}, received ${JSON.stringify(packet).slice(0, 300)}`);
  }

  /** The next packet, which must be a PUBLISH with this payload. */
  async message(payload: string): Promise<ReceivedAs<"publish">> {
    const packet = await this.expect("publish");
    if (packet.payload.toString() === payload) return packet;
    throw new Error(`Expected the payload ${payload}, received ${packet.topic}: ${packet.payload.toString()}`);
  }

  /** Sees that nothing came before the answer to a PINGREQ. */
  async nothing(): Promise<void> {
    await this.send({ cmd: "pingreq" });
    await this.expect("pingresp");
  }

  /** Subscribes, and returns what SUBACK says of each filter. */
  async subscribe(
    filters: string | readonly (string | (Partial<ISubscription> & { topic: string }))[],
    { qos = 0, subscriptionIdentifier }: { qos?: 0 | 1 | 2; subscriptionIdentifier?: number } = {},
  ): Promise<number[]> {
    const messageId = this.nextId();
    const list = typeof filters === "string" ? [filters] : filters;
    await this.send({
      cmd: "subscribe",
      messageId,
      subscriptions: list.map((item) => ({ qos, ...(typeof item === "string" ? { topic: item } : item) })),
      ...(subscriptionIdentifier === undefined ? {} : { properties: { subscriptionIdentifier } }),
    });
    const suback = await this.expect("suback");
    if (suback.messageId !== messageId) throw new Error(`SUBACK for ${suback.messageId}, expected ${messageId}`);
    return suback.granted.map(Number);
  }

  /** Unsubscribes, and returns what UNSUBACK says of each filter (nothing before 5.0). */
  async unsubscribe(...unsubscriptions: string[]): Promise<number[]> {
    const messageId = this.nextId();
    await this.send({ cmd: "unsubscribe", messageId, unsubscriptions });
    const unsuback = await this.expect("unsuback");
    if (unsuback.messageId !== messageId) throw new Error(`UNSUBACK for ${unsuback.messageId}, expected ${messageId}`);
    return unsuback.granted ?? [];
  }

  /** Sends a PUBLISH and nothing more; returns its packet identifier, 0 at QoS 0. */
  async sendPublish(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<number> {
    const { qos = 0, messageId = qos > 0 ? this.nextId() : 0 } = options;
    await this.send({
      cmd: "publish",
      topic,
      payload,
      dup: false,
      retain: false,
      ...options,
      qos,
      ...(qos > 0 ? { messageId } : {}),
    });
    return messageId;
  }

  /** Publishes to the end of the flow; at QoS 0, until the broker has seen it. */
  async publish(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<void> {
    const id = await this.sendPublish(topic, payload, options);
    if (options.qos === 1) {
      await this.acknowledged("puback", id);
    } else if (options.qos === 2) {
      await this.acknowledged("pubrec", id);
      await this.send({ cmd: "pubrel", messageId: id });
      await this.acknowledged("pubcomp", id);
    } else {
      await this.nothing();
    }
  }

  /** The next packet, which must be this answer; returns its reason code. */
  async acknowledged(type: Acknowledgement, id: number): Promise<number> {
    const packet = await this.expect(type);
    if (packet.messageId !== id) throw new Error(`${type} for ${packet.messageId}, expected one for ${id}`);
    return packet.reasonCode ?? 0;
  }

  acknowledge(type: Acknowledgement, messageId: number | undefined, reasonCode?: number): Promise<void> {
    return this.send({
      cmd: type,
      ...(messageId === undefined ? {} : { messageId }),
      ...(reasonCode === undefined ? {} : { reasonCode }),
    });
  }

  /** Says DISCONNECT and waits until the broker has closed. */
  async disconnect(reasonCode?: number, properties: { readonly sessionExpiryInterval?: number } = {}): Promise<void> {
    await this.send({ cmd: "disconnect", ...(reasonCode === undefined ? {} : { reasonCode }), properties });
    this.wire.finish();
    await this.wire.closed();
  }

  /** Ends the connection without a word, and waits until the broker has noticed. */
  async vanish(): Promise<void> {
    this.wire.finish();
    await this.wire.closed();
  }

  /** The reason code of the DISCONNECT after which the broker closes; before 5.0 it closes without one: undefined. */
  async dismissed(): Promise<number | undefined> {
    const code = this.version === 5 ? (await this.expect("disconnect")).reasonCode : undefined;
    this.wire.finish();
    const rest = await this.wire.closed();
    if (rest.length > 0) throw new Error(`Expected the end, received ${rest.toString("hex", 0, 100)}`);
    return code;
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  #parse(bytes: Buffer): Packet {
    const packets: Packet[] = [];
    const reader = parser({ protocolVersion: this.version });
    reader.on("packet", (packet) => packets.push(packet));
    reader.on("error", (error: unknown) => {
      throw error;
    });
    reader.parse(bytes);
    const [packet] = packets;
    if (packet === undefined) throw new Error(`Not a packet: ${bytes.toString("hex")}`);
    return packet;
  }
}

/** Bytes written as hexadecimal, with texts in single quotes and blanks anywhere. */
export function hex(text: string): Buffer {
  const parts = text
    .split("'")
    .map((part, at) => (at % 2 === 1 ? Buffer.from(part) : Buffer.from(part.replaceAll(" ", ""), "hex")));
  return Buffer.concat(parts);
}

function is<Command extends Packet["cmd"]>(
  packet: Received,
  command: Command,
): packet is Received & ReceivedAs<Command> {
  return packet.cmd === command;
}
