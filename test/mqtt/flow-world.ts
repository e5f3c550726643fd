import { generate, type IConnectPacket, type Packet, parser } from "mqtt-packet";
import type { Address } from "../../core/addresses/address.ts";
import { Output } from "../../core/output.ts";
import type { Peer, Session } from "../../core/protocol.ts";
import type { SessionInfo } from "../../core/sessions/sessions.ts";
import { canonical } from "../../core/addresses/spelling.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { mqtt5Format, mqttFormat } from "../../protocols/mqtt/convert.ts";
import { createMqtt, type MqttOptions } from "../../protocols/mqtt/protocol.ts";
import { MemoryStore } from "../../store/memory/store.ts";
import { type CoreBroker, coreBroker, testFormats } from "../support/core-broker.ts";
import { ModelDisk } from "../support/queue-model-disk.ts";
import { DurabilityGate } from "../support/store-held.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const OPTIONS: MqttOptions = {
  maxPacketBytes: 1_000_000,
  maxConnectBytes: 10_000,
  connectTimeoutMs: 10_000,
  maxInflight: 100,
  receiveMaximum: 100,
  topicAliasMaximum: 10,
  maxSessionExpiryMs: Number.POSITIVE_INFINITY,
  maxSubscriptions: 1000,
  maxKeepAlive: 0,
  maxClientIdBytes: 100,
  maxTopicBytes: 1024,
  maxTopicLevels: 128,
  clientTopicAliases: 0,
  redirect: undefined,
  responsePrefix: "",
  slowSubscriberGraceMs: 0,
  maxAcksWaiting: 10,
};

export interface WorldOptions {
  readonly mqtt?: Partial<MqttOptions>;
  /** Bytes of output that a connection holds before it is full. */
  readonly highWater?: number;
  readonly core?: Omit<NonNullable<Parameters<typeof coreBroker>[0]>, "clock" | "store">;
}

/** What a client says of itself when it connects; a session for ever in 3.1.1 unless told otherwise. */
export interface Connecting {
  readonly version?: 4 | 5;
  readonly clean?: boolean;
  /** Seconds; MQTT 5.0 only. */
  readonly expiry?: number;
  readonly keepAlive?: number;
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
}

function readAddress(name: string): Address {
  return canonical.parse("topic", name);
}

const FORMATS = new Map([...testFormats, ...[mqttFormat, mqtt5Format].map((format) => [format.name, format] as const)]);

/** A broker that speaks MQTT without a socket, on a virtual clock, over a disk that is as slow as it is told. */
export class FlowWorld {
  readonly core: CoreBroker;
  readonly clock: VirtualClock;
  readonly gate: DurabilityGate;
  readonly highWater: number;
  readonly #disk: ModelDisk;
  readonly #protocol: ReturnType<typeof createMqtt>;
  readonly #options: WorldOptions;

  static open(options: WorldOptions = {}): Promise<FlowWorld> {
    return FlowWorld.#over(new ModelDisk(), new VirtualClock(), options);
  }

  static async #over(disk: ModelDisk, clock: VirtualClock, options: WorldOptions): Promise<FlowWorld> {
    const gate = new DurabilityGate();
    const memory = new MemoryStore({ formats: FORMATS, addresses: readAddress, clock });
    disk.restore(memory);
    clock.settle();
    const store = disk.under(gate.under(memory));
    const core = await coreBroker({ ...options.core, clock, store });
    return new FlowWorld({ core, clock, gate, disk, options });
  }

  private constructor(parts: {
    core: CoreBroker;
    clock: VirtualClock;
    gate: DurabilityGate;
    disk: ModelDisk;
    options: WorldOptions;
  }) {
    this.core = parts.core;
    this.clock = parts.clock;
    this.gate = parts.gate;
    this.#disk = parts.disk;
    this.#options = parts.options;
    this.highWater = parts.options.highWater ?? 1 << 20;
    this.#protocol = createMqtt({ ...OPTIONS, ...parts.options.mqtt });
  }

  /** A broker over what this one had on disk. Nothing is said to this one's clients any more. */
  crash(): Promise<FlowWorld> {
    return FlowWorld.#over(this.#disk, new VirtualClock(this.clock.now()), this.#options);
  }

  get host(): VirtualHost {
    const host = this.core.broker.host(undefined);
    if (host === undefined) throw new Error("There is no default host");
    return host;
  }

  sessionOf(clientId: string): SessionInfo | undefined {
    return [...this.host.sessions.list()].find(({ id }) => id === `mqtt/${clientId}`);
  }

  /** Records of the sessions' own state that the store has, as "received 1" and the like. */
  get entries(): string[] {
    const { store } = this.core;
    return Array.from(store.keys("session-state"), ({ key }) => key.split("\0").slice(-1).join());
  }

  accept(peer: WirePeer): Session {
    return this.#protocol.accept(peer, this.core.broker);
  }

  /** Connects and reads CONNACK. */
  async connect(clientId: string, connecting: Connecting = {}): Promise<Wire> {
    const wire = await this.connecting(clientId, connecting);
    wire.present = wire.readConnack();
    return wire;
  }

  /** Connects; nothing has been read of what the broker says. */
  async connecting(clientId: string, connecting: Connecting = {}): Promise<Wire> {
    const { version = 4, clean = false, expiry = 0xffff_ffff, keepAlive = 0 } = connecting;
    const { receiveMaximum, maximumPacketSize } = connecting;
    const wire = new Wire(this, version);
    const connect: IConnectPacket = {
      cmd: "connect",
      clientId,
      clean,
      keepalive: keepAlive,
      protocolVersion: version,
      protocolId: "MQTT",
    };
    if (version === 5) {
      connect.properties = {
        sessionExpiryInterval: expiry,
        ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
        ...(maximumPacketSize === undefined ? {} : { maximumPacketSize }),
      };
    }
    wire.send(connect);
    // The login is a promise.
    await new Promise(setImmediate);
    this.clock.settle();
    return wire;
  }
}

/** The broker's side of a connection that has no socket. */
export class WirePeer implements Peer {
  readonly id = "mqtt-1";
  readonly output: Output;
  readonly remoteAddress = "127.0.0.1:1";
  readonly localAddress = "127.0.0.1:2";
  readonly listener = "test";
  readonly transport = "tcp";
  readonly subprotocol = undefined;
  lastReceivedAt = 0;
  lastWrittenAt = 0;
  readonly bytesReceived = 0;
  readonly bytesWritten = 0;
  paused = false;
  closedFor: string | undefined = undefined;

  constructor(highWater: number) {
    this.output = new Output(highWater, () => {});
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(reason: string): void {
    this.closedFor ??= reason;
  }

  identify(): void {}
}

/** One scripted client. */
export class Wire {
  readonly peer: WirePeer;
  readonly version: 4 | 5;
  readonly session: Session;
  /** What CONNACK said. */
  present = false;
  readonly #world: FlowWorld;
  #over = false;
  #unread: Packet[] = [];

  constructor(world: FlowWorld, version: 4 | 5) {
    this.#world = world;
    this.version = version;
    this.peer = new WirePeer(world.highWater);
    this.peer.lastReceivedAt = world.clock.now();
    this.session = world.accept(this.peer);
  }

  /** Sends packets, and lets the broker's turn end. */
  send(...packets: readonly Packet[]): this {
    const bytes = packets.map((packet) => generate(packet, { protocolVersion: this.version }));
    this.peer.lastReceivedAt = this.#world.clock.now();
    this.session.receive(Buffer.concat(bytes));
    this.#world.clock.settle();
    return this;
  }

  subscribe(filter: string, qos: 0 | 1 | 2): this {
    return this.send({ cmd: "subscribe", messageId: 9999, subscriptions: [{ topic: filter, qos }] });
  }

  publish(qos: 0 | 1 | 2, id: number, payload: string, options: { topic?: string; dup?: boolean } = {}): this {
    const { topic = "t", dup = false } = options;
    return this.send({ cmd: "publish", topic, payload, qos, messageId: id, dup, retain: false });
  }

  ack(cmd: "puback" | "pubrec" | "pubrel" | "pubcomp", id: number, reasonCode?: number): this {
    return this.send({ cmd, messageId: id, ...(reasonCode === undefined ? {} : { reasonCode }) });
  }

  /** Whether there was a session, by CONNACK, which is the first packet; the others are still to be read. */
  readConnack(): boolean {
    const [connack, ...others] = this.read();
    this.#unread = others;
    if (connack?.cmd !== "connack") throw new Error(`No CONNACK but ${connack?.cmd}`);
    return connack.sessionPresent;
  }

  /** All that the broker said since the last time; its output is empty then. */
  read(): Packet[] {
    this.#world.clock.settle();
    const packets = this.#unread;
    this.#unread = [];
    const { output } = this.peer;
    const reader = parser({ protocolVersion: this.version });
    reader.on("packet", (packet) => packets.push(packet));
    reader.on("error", (error) => {
      throw error;
    });
    for (let chunks = output.take(); chunks.length > 0; chunks = output.take()) {
      reader.parse(Buffer.concat(chunks));
      if (!output.full) break;
      output.full = false;
      if (!this.#over) this.session.drained();
      this.#world.clock.settle();
    }
    return packets;
  }

  /** The same in words, such as `publish 1 q2 dup: body` and `puback 1`. */
  get said(): string[] {
    return this.read().map(words);
  }

  /** The connection ends without a word. */
  lose(): void {
    this.#over = true;
    this.session.closed("lost");
    this.#world.clock.settle();
  }
}

export function words(packet: Packet): string {
  switch (packet.cmd) {
    case "publish": {
      const { messageId, qos, dup, topic, payload } = packet;
      const id = qos === 0 ? "" : ` ${messageId}`;
      return `publish${id} q${qos}${dup ? " dup" : ""}${topic === "t" ? "" : ` ${topic}`}: ${payload.toString()}`;
    }
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp": {
      const { cmd, messageId, reasonCode = 0 } = packet;
      return reasonCode === 0 ? `${cmd} ${messageId}` : `${cmd} ${messageId} 0x${reasonCode.toString(16)}`;
    }
    case "connack":
      return `connack${packet.sessionPresent ? " present" : ""}`;
    case "disconnect":
      return `disconnect 0x${(packet.reasonCode ?? 0).toString(16)}`;
    default:
      return packet.cmd;
  }
}
