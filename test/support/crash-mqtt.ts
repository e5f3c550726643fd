/*
 * MQTT clients and the lives of a broker over one directory, each ended by SIGKILL:
 *
 *     start -> everybody comes back -> publishes, answers, loses its connection, comes back -> SIGKILL -> start -> ...
 *
 * The clients keep what MQTT has them keep, in the memory of the test; in the last life all comes to its end.
 */
import { connect, type Socket } from "node:net";
import { type IConnectPacket, generate, type Packet, parser } from "mqtt-packet";
import { complaints, type Line, Publishing, Reading, sharedComplaints } from "../mqtt/flow-clients.ts";
import { type BrokerProcess, startBrokerProcess } from "./broker.ts";
import type { Random } from "./crash-random.ts";
import { eventually } from "./eventually.ts";

const LONGEST_LIFE_MS = 400;
/** Flows that a publisher has under way at a time. */
const PIPELINE = 30;
/** What a publisher publishes at most in one life: what is left over must not grow without end. */
const MESSAGES = 300;
/** Until all that was left over has come. */
const LONGEST_END_MS = 30_000;
const TOPICS = ["load/a", "load/b", "load/c/d"];
/** The packet identifier of the only SUBSCRIBE of a client. */
const SUBSCRIBE_ID = 60_000;

/** What came of many lives. */
export interface MqttOutcome {
  readonly kills: number;
  /** Connections that ended while the broker lived. */
  readonly losses: number;
  readonly sentAtQos1: number;
  readonly sentAtQos2: number;
  readonly received: number;
  /** PUBLISH packets at QoS 2 that came again with their identifier. */
  readonly repeated: number;
}

/** One client's connections, one after the other. */
class Seat {
  readonly client: Publishing | Reading;
  losses = 0;
  readonly #random: Random;
  readonly #version: 4 | 5;
  readonly #filter: { readonly topic: string; readonly qos: 1 | 2 } | undefined;
  #socket: Socket | undefined = undefined;
  /** Resolves once the connection of now has ended. */
  #closed: Promise<void> = Promise.resolve();
  #subscribed = false;
  #left = 0;

  constructor(client: Publishing | Reading, random: Random, options: { version: 4 | 5; topic?: string; qos?: 1 | 2 }) {
    this.client = client;
    this.#random = random;
    this.#version = options.version;
    this.#filter = options.topic === undefined ? undefined : { topic: options.topic, qos: options.qos ?? 1 };
  }

  /** Whether it has nothing to wait for. */
  get ready(): boolean {
    return this.#filter === undefined || this.#subscribed;
  }

  /** Connects, and once that is done goes on where it was; publishes so many messages at most. */
  open(port: number, messages: number): void {
    this.#left = messages;
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    // A killed broker resets its connections: that is what this is about.
    socket.on("error", () => {});
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
    const reader = parser({ protocolVersion: this.#version });
    const line: Line = { send: (...packets) => this.#write(socket, packets) };
    reader.on("packet", (packet) => this.#handle(packet, line));
    socket.on("data", (chunk) => {
      if (this.#socket !== socket) return;
      reader.parse(chunk);
      this.#act();
    });
    const hello: IConnectPacket = {
      cmd: "connect",
      clientId: this.client.name,
      clean: false,
      keepalive: 0,
      protocolId: "MQTT",
      protocolVersion: this.#version,
    };
    if (this.#version === 5) hello.properties = { sessionExpiryInterval: 0xffff_ffff, receiveMaximum: 20 };
    this.#write(socket, [hello]);
  }

  /** The connection ends as that of a crashed client, and another one begins. */
  lose(port: number): void {
    this.losses++;
    this.#drop()?.resetAndDestroy();
    this.open(port, this.#left);
  }

  /** Ends the connection. */
  close(): void {
    this.#drop()?.destroy();
  }

  /** Resolves when the broker, which is dead, has closed the connection; what it said before is still heard. */
  async ended(): Promise<void> {
    await this.#closed;
    this.#drop();
  }

  /** Answers all there is to answer. */
  answerAll(): void {
    while (this.client instanceof Reading && this.client.open > 0) this.client.answer(0);
  }

  #drop(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.client.down();
    return socket;
  }

  #handle(packet: Packet, line: Line): void {
    if (packet.cmd === "suback") {
      this.#subscribed = true;
    } else if (packet.cmd === "connack") {
      if (this.#subscribed && !packet.sessionPresent) throw new Error(`The session of ${this.client.name} is gone`);
      this.client.up(line);
      if (this.#filter !== undefined && !this.#subscribed) {
        line.send({ cmd: "subscribe", messageId: SUBSCRIBE_ID, subscriptions: [this.#filter] });
      }
    } else {
      this.client.handle(packet);
    }
  }

  /** Publishes more, or answers some of what came: the rest may be left for later, and for the next life. */
  #act(): void {
    const { client } = this;
    const random = this.#random;
    if (client instanceof Publishing) {
      for (; this.#left > 0 && client.unfinished < PIPELINE; this.#left--) {
        client.publish(random.pick(TOPICS), random.chance(0.5) ? 2 : 1);
      }
      return;
    }
    for (let open = client.open; open > 0 && !random.chance(0.03); open--) {
      client.answer(random.chance(0.9) ? 0 : random.below(open));
    }
  }

  #write(socket: Socket, packets: readonly Packet[]): void {
    const bytes = packets.map((packet) => generate(packet, { protocolVersion: this.#version }));
    if (this.#socket === socket) socket.write(Buffer.concat(bytes));
  }
}

/** The lives of a broker with three that publish, two that read all of it, one in a group of its own, and two that share. */
export class MqttLives {
  readonly #directory: string;
  readonly #random: Random;
  readonly #publishers = [new Publishing("one"), new Publishing("two", 3000), new Publishing("three")];
  readonly #sure = new Reading("sure");
  readonly #plain = new Reading("plain");
  readonly #alone = new Reading("alone");
  readonly #members = [new Reading("left"), new Reading("right")];
  readonly #seats: readonly Seat[];
  #kills = 0;

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
    const share = { topic: "$share/group/load/#", qos: 2 as const };
    this.#seats = [
      ...this.#publishers.map((client, index) => new Seat(client, random, { version: index === 0 ? 5 : 4 })),
      new Seat(this.#sure, random, { version: 4, topic: "load/#", qos: 2 }),
      new Seat(this.#alone, random, { version: 4, topic: "$share/alone/load/#", qos: 2 }),
      new Seat(this.#plain, random, { version: 5, topic: "load/#", qos: 1 }),
      ...this.#members.map((client, index) => new Seat(client, random, { version: index === 0 ? 5 : 4, ...share })),
    ];
  }

  /** Everybody has its session and its subscription before anything is published. */
  async prepare(): Promise<void> {
    const broker = await this.#start();
    for (const seat of this.#seats) seat.open(broker.port, 0);
    await eventually(() => this.#seats.every(({ ready }) => ready));
    await this.#kill(broker);
  }

  /** One life under load, up to its end. */
  async live(): Promise<void> {
    const random = this.#random;
    const broker = await this.#start();
    for (const seat of this.#seats) seat.open(broker.port, MESSAGES);
    const losing = this.#seats.flatMap((seat) =>
      random.chance(0.3) ? [setTimeout(() => seat.lose(broker.port), random.below(LONGEST_LIFE_MS))] : [],
    );
    await new Promise((resolve) => {
      setTimeout(resolve, random.below(LONGEST_LIFE_MS));
    });
    for (const timer of losing) clearTimeout(timer);
    await this.#kill(broker);
  }

  /** Lets everything come to its end at a broker that is not killed, until it has nothing left; returns what is wrong then. */
  async finish(port: number, isEmpty: () => boolean): Promise<string[]> {
    for (const seat of this.#seats) seat.open(port, 0);
    const isDone = (): boolean => {
      for (const seat of this.#seats) seat.answerAll();
      return this.#publishers.every(({ unfinished }) => unfinished === 0) && isEmpty();
    };
    const wrong: string[] = [];
    await eventually(isDone, LONGEST_END_MS).catch(() => wrong.push("Not everything came to its end"));
    for (const seat of this.#seats) seat.close();
    for (const reader of [this.#sure, this.#alone]) wrong.push(...complaints(reader, 2, this.#publishers));
    wrong.push(...complaints(this.#plain, 1, this.#publishers));
    wrong.push(...sharedComplaints(this.#members, this.#publishers));
    return wrong;
  }

  get outcome(): MqttOutcome {
    const sent = this.#publishers.flatMap((publisher) => publisher.sent);
    const readers = [this.#sure, this.#alone, this.#plain, ...this.#members];
    return {
      kills: this.#kills,
      losses: this.#seats.reduce((sum, { losses }) => sum + losses, 0),
      sentAtQos1: sent.filter(({ qos }) => qos === 1).length,
      sentAtQos2: sent.filter(({ qos }) => qos === 2).length,
      received: readers.reduce((sum, { got }) => sum + got.length, 0),
      repeated: this.#sure.repeated + this.#alone.repeated,
    };
  }

  /** Every other life keeps next to nothing in memory, so that much has to be read back. */
  #start(): Promise<BrokerProcess> {
    const scarce = this.#random.chance(0.5) ? ['durable_subscriptions=[{match: "**", memory: 64k}]'] : [];
    return startBrokerProcess(this.#directory, scarce);
  }

  async #kill(broker: BrokerProcess): Promise<void> {
    if (broker.process.exitCode !== null) throw new Error(`The broker ended by itself: ${broker.output()}`);
    await broker.end("SIGKILL");
    await Promise.all(this.#seats.map((seat) => seat.ended()));
    this.#kills++;
    // 40 is the level of warnings: whatever was set aside, failed or was given up.
    const worries = broker
      .output()
      .split("\n")
      .filter((line) => /"level":[456]0/.test(line));
    if (worries.length > 0) throw new Error(worries.join("\n"));
  }
}
