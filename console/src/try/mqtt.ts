import { closeReason, openSocket, type TryClient, type TryListener, type TryLogin } from "./client.ts";

const CONNECT = 1;
const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBSCRIBE = 8;
const SUBACK = 9;
const PINGREQ = 12;
const DISCONNECT = 14;
const NAMES: Readonly<Record<number, string>> = {
  [CONNECT]: "CONNECT",
  [CONNACK]: "CONNACK",
  [PUBLISH]: "PUBLISH",
  [PUBACK]: "PUBACK",
  [SUBSCRIBE]: "SUBSCRIBE",
  [SUBACK]: "SUBACK",
  [PINGREQ]: "PINGREQ",
  13: "PINGRESP",
  [DISCONNECT]: "DISCONNECT",
};
const KEEP_ALIVE_SECONDS = 30;
const REFUSALS: Readonly<Record<number, string>> = {
  1: "the version of the protocol",
  2: "the client identifier",
  3: "the server is not available",
  4: "the user or the password",
  5: "not authorized",
};

/** MQTT 3.1.1 over WebSocket, with QoS 1 both ways. */
export class MqttClient implements TryClient {
  private readonly socket: WebSocket;
  private readonly listener: TryListener;
  private rest: Uint8Array = new Uint8Array(0);
  private counter = 0;
  private refused = "";
  private ping: number | undefined = undefined;

  constructor({ url, user, password }: TryLogin, listener: TryListener) {
    this.listener = listener;
    this.socket = openSocket(url, "mqtt");
    this.socket.addEventListener("open", () => this.connect(user, password));
    this.socket.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) this.onData(new Uint8Array(data));
    });
    this.socket.addEventListener("close", (event) => {
      window.clearInterval(this.ping);
      listener.closed(this.refused || closeReason(event));
    });
  }

  subscribe(filter: string): void {
    this.send(SUBSCRIBE, 2, [...int16(this.nextId()), ...string(filter), 1], filter);
  }

  publish(topic: string, body: string): void {
    const bytes = [...string(topic), ...int16(this.nextId()), ...new TextEncoder().encode(body)];
    this.send(PUBLISH, 2, bytes, topic);
  }

  close(): void {
    if (this.socket.readyState === WebSocket.OPEN) this.send(DISCONNECT, 0, []);
    this.socket.close(1000);
  }

  private connect(user: string, password: string): void {
    const named = user !== "";
    const client = `console-${Math.random().toString(36).slice(2, 10)}`;
    const flags = 2 | (named ? 0xc0 : 0);
    const login = named ? [...string(user), ...string(password)] : [];
    const head = [...string("MQTT"), 4, flags, ...int16(KEEP_ALIVE_SECONDS)];
    this.send(CONNECT, 0, [...head, ...string(client), ...login], client);
  }

  private nextId(): number {
    this.counter = (this.counter % 0xffff) + 1;
    return this.counter;
  }

  private send(type: number, flags: number, body: readonly number[], about = ""): void {
    this.socket.send(Uint8Array.from([(type << 4) | flags, ...length(body.length), ...body]));
    this.listener.noted("out", `${NAMES[type]} ${about}`.trim());
  }

  /** A packet may come in several messages, and several packets in one. */
  private onData(data: Uint8Array): void {
    const joined = new Uint8Array(this.rest.length + data.length);
    joined.set(this.rest);
    joined.set(data, this.rest.length);
    this.rest = joined;
    for (;;) {
      const size = sizeOf(this.rest);
      if (size === undefined || this.rest.length < size.whole) return;
      const [first = 0] = this.rest;
      const body = this.rest.subarray(size.head, size.whole);
      this.rest = this.rest.subarray(size.whole);
      this.onPacket(first >> 4, first & 15, body);
    }
  }

  private onPacket(type: number, flags: number, body: Uint8Array): void {
    if (type === PUBLISH) {
      this.onPublish(flags, body);
      return;
    }
    this.listener.noted("in", NAMES[type] ?? `packet ${type}`);
    if (type === SUBACK && body[2] === 0x80) this.listener.noted("in", "The subscription is refused");
    if (type !== CONNACK) return;
    const [, code = 0] = body;
    if (code !== 0) {
      this.refused = `Refused: ${REFUSALS[code] ?? `code ${code}`}`;
      return;
    }
    this.ping = window.setInterval(() => this.send(PINGREQ, 0, []), (KEEP_ALIVE_SECONDS * 1000) / 2);
    this.listener.opened();
  }

  private onPublish(flags: number, body: Uint8Array): void {
    const end = 2 + (((body[0] ?? 0) << 8) | (body[1] ?? 0));
    const topic = new TextDecoder().decode(body.subarray(2, end));
    const confirmed = ((flags >> 1) & 3) > 0;
    this.listener.noted("in", `PUBLISH ${topic}`);
    this.listener.received(topic, new TextDecoder().decode(body.subarray(confirmed ? end + 2 : end)));
    if (confirmed) this.send(PUBACK, 0, [...body.subarray(end, end + 2)]);
  }
}

function int16(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function string(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...int16(bytes.length), ...bytes];
}

function length(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function sizeOf(bytes: Uint8Array): { readonly head: number; readonly whole: number } | undefined {
  let value = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 128 ** (at - 1);
    if (byte < 0x80) return { head: at + 1, whole: at + 1 + value };
  }
  return undefined;
}
