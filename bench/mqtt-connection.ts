import { connect, type Socket } from "node:net";
import { generate, type IConnectPacket, parser, type Packet } from "mqtt-packet";

/** How a connection of MQTT begins. */
interface ConnectOptions {
  readonly port: number;
  readonly clientId: string;
  /** False: the session goes on, and outlives the connection. */
  readonly clean?: boolean;
  readonly keepAliveSeconds?: number;
  /** The address it comes from: one has no more than about 28,000 ports. */
  readonly from?: string;
  /** See `MqttConnection.onPacket`; from the beginning. */
  readonly onPacket?: (packet: Packet) => void;
}

/** A client of MQTT 3.1.1 that measures others: nothing in it is quick or clever. Acknowledges what it is given. */
export class MqttConnection {
  readonly socket: Socket;
  /** Whether the broker had the session already. */
  present = false;
  /** Told of each packet that nobody awaits. */
  onPacket: (packet: Packet) => void = () => {};
  private readonly awaited: {
    readonly command: Packet["cmd"];
    readonly came: () => void;
    readonly failed: (error: Error) => void;
  }[] = [];
  private lastId = 0;
  private ended: Error | undefined = undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = parser({ protocolVersion: 4 });
    reader.on("packet", (packet: Packet) => this.take(packet));
    socket.on("data", (chunk: Buffer) => reader.parse(chunk));
    socket.on("error", (error) => this.end(error));
    socket.on("close", () => this.end(new Error("The broker closed the connection")));
  }

  /** Settles when the broker has accepted it. */
  static async open(options: ConnectOptions): Promise<MqttConnection> {
    const { port, clientId, clean = true, keepAliveSeconds: keepalive = 60, from: localAddress } = options;
    const socket = connect({ port, host: "127.0.0.1", ...(localAddress === undefined ? {} : { localAddress }) });
    socket.setNoDelay(true);
    const connection = new MqttConnection(socket);
    if (options.onPacket !== undefined) connection.onPacket = options.onPacket;
    const packet: IConnectPacket = {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clientId,
      clean,
      keepalive,
    };
    socket.write(generate(packet));
    await connection.next("connack");
    return connection;
  }

  /** Settles when the broker has granted it. */
  subscribe(topic: string, qos: 0 | 1): Promise<void> {
    const granted = this.next("suback");
    this.socket.write(generate({ cmd: "subscribe", messageId: this.nextId(), subscriptions: [{ topic, qos }] }));
    return granted;
  }

  /** Sends a message; at QoS 1 its PUBACK goes to `onPacket`, unless it is awaited with `next`. */
  publish(
    topic: string,
    payload: string | Buffer,
    { qos = 0, retain = false }: { qos?: 0 | 1; retain?: boolean } = {},
  ): void {
    const id = qos === 0 ? {} : { messageId: this.nextId() };
    this.socket.write(generate({ cmd: "publish", topic, payload, qos, retain, dup: false, ...id }));
  }

  /** Settles with the next packet of a kind; rejects when the connection ends before. */
  next(command: Packet["cmd"]): Promise<void> {
    return new Promise((came, failed) => {
      if (this.ended !== undefined) failed(this.ended);
      else this.awaited.push({ command, came, failed });
    });
  }

  private nextId(): number {
    this.lastId = (this.lastId % 0xffff) + 1;
    return this.lastId;
  }

  private take(packet: Packet): void {
    if (packet.cmd === "publish" && packet.qos === 1 && packet.messageId !== undefined) {
      this.socket.write(generate({ cmd: "puback", messageId: packet.messageId }));
    }
    if (packet.cmd === "connack") {
      if (packet.returnCode !== 0) this.end(new Error(`The broker refused the connection with ${packet.returnCode}`));
      this.present = packet.sessionPresent;
    }
    const at = this.awaited.findIndex(({ command }) => command === packet.cmd);
    const [waiting] = at < 0 ? [] : this.awaited.splice(at, 1);
    if (waiting === undefined) this.onPacket(packet);
    else waiting.came();
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const { failed } of this.awaited.splice(0)) failed(this.ended);
  }
}
