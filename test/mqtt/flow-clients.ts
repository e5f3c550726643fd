import type { Packet } from "mqtt-packet";

/** Where a client's packets go. */
export interface Line {
  send(...packets: readonly Packet[]): unknown;
}

/** A message that was given to a publisher. */
export interface Sent {
  /** Unique among all. */
  readonly body: string;
  readonly topic: string;
  readonly qos: 1 | 2;
}

/** A message that a reader was given and handed on. */
export interface Got {
  readonly body: string;
  readonly topic: string;
  readonly qos: number;
}

interface Sending extends Sent {
  released: boolean;
}

/** A client that publishes: it keeps what it must keep over its connections, and sends it again. */
export class Publishing {
  readonly name: string;
  readonly sent: Sent[] = [];
  /** Flows that were brought to their end. */
  finished = 0;
  /** In the order in which they were published, by packet identifier. */
  readonly #sending = new Map<number, Sending>();
  readonly #padding: string;
  #line: Line | undefined = undefined;

  /** Its messages are larger by so many bytes than what tells them apart. */
  constructor(name: string, paddingBytes = 0) {
    this.name = name;
    this.#padding = paddingBytes === 0 ? "" : " ".repeat(paddingBytes);
  }

  get unfinished(): number {
    return this.#sending.size;
  }

  /** The connection is there; the session went on. */
  up(line: Line): void {
    this.#line = line;
    // Those that are released were so in the order in which they were published.
    for (const [messageId, { released }] of this.#sending) if (released) line.send({ cmd: "pubrel", messageId });
    for (const [messageId, sending] of this.#sending) if (!sending.released) this.#publish(messageId, sending, true);
  }

  down(): void {
    this.#line = undefined;
  }

  publish(topic: string, qos: 1 | 2): void {
    let id = 1;
    while (this.#sending.has(id)) id++;
    const sending = { body: `${this.name}-${this.sent.length}`, topic, qos, released: false };
    this.sent.push(sending);
    this.#sending.set(id, sending);
    this.#publish(id, sending, false);
  }

  /** Says again what it said last of one of its flows at QoS 2. */
  repeat(index: number): void {
    const flows = [...this.#sending].filter(([, { qos }]) => qos === 2);
    const [messageId, sending] = flows[index % Math.max(1, flows.length)] ?? [];
    if (messageId === undefined || sending === undefined) return;
    if (sending.released) this.#line?.send({ cmd: "pubrel", messageId });
    else this.#publish(messageId, sending, true);
  }

  handle(packet: Packet): void {
    const id = Number(packet.messageId);
    const sending = this.#sending.get(id);
    switch (packet.cmd) {
      case "puback":
        if (sending?.qos === 1) this.#finish(id);
        return;
      case "pubrec":
        // The second one for a PUBLISH that was repeated says nothing new.
        if (sending?.qos !== 2 || sending.released) return;
        sending.released = true;
        this.#line?.send({ cmd: "pubrel", messageId: id });
        return;
      case "pubcomp":
        if (sending?.released === true) this.#finish(id);
        return;
      default:
        throw new Error(`${this.name} was told ${packet.cmd}`);
    }
  }

  #publish(messageId: number, { topic, body, qos }: Sending, dup: boolean): void {
    this.#line?.send({ cmd: "publish", messageId, topic, payload: body + this.#padding, qos, dup, retain: false });
  }

  #finish(id: number): void {
    this.#sending.delete(id);
    this.finished++;
  }
}

interface Answer {
  readonly cmd: "puback" | "pubrec" | "pubcomp";
  readonly messageId: number;
}

/** A client that receives: it hands a message on when it comes, and keeps the identifiers of those at QoS 2. */
export class Reading {
  readonly name: string;
  readonly got: Got[] = [];
  /** Messages that came again with an identifier that was not released. */
  repeated = 0;
  /** Those of them that did not say so with DUP. */
  repeatedPlainly = 0;
  /** Most deliveries under way at a time. */
  mostUnderWay = 0;
  readonly #unreleased = new Set<number>();
  readonly #underWay = new Set<number>();
  #answers: Answer[] = [];
  #last: Answer | undefined = undefined;
  #line: Line | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Answers that it could give. */
  get open(): number {
    return this.#answers.length;
  }

  /** Identifiers that it still remembers. */
  get unreleased(): number {
    return this.#unreleased.size;
  }

  up(line: Line): void {
    this.#line = line;
  }

  down(): void {
    this.#line = undefined;
    this.#answers = [];
    this.#last = undefined;
    this.#underWay.clear();
  }

  handle(packet: Packet): void {
    const messageId = Number(packet.messageId);
    if (packet.cmd === "pubrel") {
      this.#unreleased.delete(messageId);
      this.#answers.push({ cmd: "pubcomp", messageId });
      return;
    }
    if (packet.cmd !== "publish") throw new Error(`${this.name} was told ${packet.cmd}`);
    const { topic, qos, payload, dup } = packet;
    this.#underWay.add(messageId);
    this.mostUnderWay = Math.max(this.mostUnderWay, this.#underWay.size);
    if (qos === 2 && this.#unreleased.has(messageId)) {
      this.repeated++;
      if (!dup) this.repeatedPlainly++;
    } else this.got.push({ body: payload.toString().trimEnd(), topic, qos });
    if (qos === 2) this.#unreleased.add(messageId);
    this.#answers.push({ cmd: qos === 2 ? "pubrec" : "puback", messageId });
  }

  /** Gives one of the answers that it could give. */
  answer(index: number): void {
    const [answer] = this.#answers.splice(index % Math.max(1, this.#answers.length), 1);
    if (answer === undefined) return;
    if (answer.cmd !== "pubrec") this.#underWay.delete(answer.messageId);
    this.#line?.send(answer);
    this.#last = answer;
  }

  /** Gives its last answer once more, unless its identifier may stand for another message by now. */
  repeat(): void {
    const last = this.#last;
    if (last === undefined || last.cmd === "puback") return;
    if (last.cmd === "pubcomp" || this.#unreleased.has(last.messageId)) this.#line?.send(last);
  }
}

/** What is wrong with what a reader of all topics at a QoS got of what was sent; an empty list is as it should be. */
export function complaints(reader: Reading, granted: 1 | 2, senders: readonly Publishing[]): string[] {
  const wrong: string[] = [];
  // [MQTT-3.3.1-1]
  if (reader.repeatedPlainly > 0) wrong.push(`${reader.name} got ${reader.repeatedPlainly} messages again without DUP`);
  const times = new Map<string, number>();
  for (const { body } of reader.got) times.set(body, (times.get(body) ?? 0) + 1);
  const last = new Map<string, number>();
  const places = new Map<string, { sent: Sent; place: number; sender: string }>();
  for (const { name, sent } of senders) {
    for (const [place, one] of sent.entries()) places.set(one.body, { sent: one, place, sender: name });
  }
  for (const [body, { sent }] of places) {
    const count = times.get(body) ?? 0;
    const surely = Math.min(granted, sent.qos) === 2;
    if (count < 1 || (surely && count > 1))
      wrong.push(`${reader.name} got ${shortened(body)} ${count} times (QoS ${sent.qos})`);
  }
  const seen = new Set<string>();
  for (const { body, topic, qos } of reader.got) {
    const origin = places.get(body);
    if (origin === undefined) {
      wrong.push(`${reader.name} got ${shortened(body)}, which nobody sent`);
      continue;
    }
    if (topic !== origin.sent.topic || qos !== Math.min(granted, origin.sent.qos)) {
      wrong.push(`${reader.name} got ${shortened(body)} of topic ${topic} at QoS ${qos}`);
    }
    if (seen.has(body)) continue;
    seen.add(body);
    // [MQTT-4.6.0-5] [MQTT-4.6.0-6]: what was sent with one QoS to one topic comes in that order, repetitions left out.
    const order = `${origin.sender} ${topic} ${origin.sent.qos}`;
    const before = last.get(order) ?? -1;
    if (before > origin.place) wrong.push(`${reader.name} got ${shortened(body)} after number ${before}`);
    last.set(order, origin.place);
  }
  return wrong;
}

/** What is wrong with what the members of a group at QoS 2 got between them. */
export function sharedComplaints(members: readonly Reading[], senders: readonly Publishing[]): string[] {
  const times = new Map<string, number>();
  for (const { body } of members.flatMap(({ got }) => got)) times.set(body, (times.get(body) ?? 0) + 1);
  return senders
    .flatMap(({ sent }) => sent)
    .flatMap(({ body, qos }) => {
      const count = times.get(body) ?? 0;
      return count === 1 || (qos === 1 && count > 1)
        ? []
        : [`the group got ${shortened(body)} ${count} times (QoS ${qos})`];
    });
}

function shortened(body: string): string {
  return body.slice(0, 20);
}
