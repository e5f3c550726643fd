import { Link, type LinkFrame } from "./crash-link.ts";
import { bodyOf, type Copy, type Found, type Holder, type Model, type Place, Unit } from "./crash-model.ts";
import type { Random } from "./crash-random.ts";

/** Where clients send to, and where that ends up. */
export interface Target {
  readonly destination: string;
  readonly places: readonly Place[];
}

/** What the clients of one life of the broker share. */
export interface Scene {
  readonly model: Model;
  readonly random: Random;
  readonly port: number;
  readonly targets: readonly Target[];
}

/** A message at a consumer; without a copy it is the marker of an inspection. */
interface Held {
  readonly tag: string;
  readonly copy: Copy | undefined;
}

/** A message read by an inspection; without `found` it is a marker. */
interface Read {
  readonly tag: string;
  readonly found: Found | undefined;
}

/** Receipts a client waits for before it says more. */
export const PIPELINE = 40;
const MARKER = "marker ";

/** Consumes one place: finds out what is there, then settles it in every way there is, until it dies. */
export class Consumer implements Holder {
  readonly place: Place;
  ended = false;
  private readonly scene: Scene;
  private readonly producer: number;
  private readonly cumulative: boolean;
  /** How likely it is to stop settling, for now, after every step. */
  private readonly idleness: number;
  private link: Link | undefined = undefined;
  private window: Held[] = [];
  private inspected: Read[] | undefined = undefined;
  private foundMarker: (() => void) | undefined = undefined;
  private marker = "";
  private lastTransaction = 0;

  constructor(scene: Scene, place: Place, producer: number, ack?: "individual") {
    this.scene = scene;
    this.place = place;
    this.producer = producer;
    this.cumulative = ack === undefined && scene.random.chance(0.4);
    this.idleness = scene.random.pick([0.05, 0.3, 0.7]);
  }

  /** Connects and subscribes; false when the broker is gone. */
  async open(source: Readonly<Record<string, string>>): Promise<boolean> {
    this.link = await Link.open(this.scene.port, { frame: (frame) => this.onFrame(frame), handled: () => this.act() });
    const ack = this.cumulative ? "client" : "client-individual";
    return this.link !== undefined && this.link.request("SUBSCRIBE", { id: "1", ack, credit: "1000000,0", ...source });
  }

  /** Subscribes and reads all that is there, up to a marker sent behind it; undefined when the broker is gone first. */
  async inspect(
    source: Readonly<Record<string, string>>,
    destination: string,
    round: string,
  ): Promise<readonly Found[] | undefined> {
    const inspected: Read[] = [];
    this.inspected = inspected;
    if (!(await this.open(source)) || this.link === undefined) return undefined;
    this.marker = `${MARKER}${this.place.name} ${round}`;
    const complete = new Promise<void>((resolve) => {
      this.foundMarker = resolve;
    });
    this.link.send("SEND", { destination }, this.marker);
    await Promise.race([complete, this.link.closed]);
    if (this.foundMarker !== undefined) return undefined;
    return inspected.flatMap(({ found }) => found ?? []);
  }

  /** Begins to settle, first of all what the inspection found; the model knows of it by now. */
  begin(): void {
    const { model } = this.scene;
    const inspected = this.inspected ?? [];
    this.inspected = undefined;
    this.window = inspected.map(({ tag, found }) => ({
      tag,
      copy: found === undefined ? undefined : model.hold(this.place, found.id, this),
    }));
    this.act();
  }

  /** Settles all that the inspection found, one by one. */
  async drain(): Promise<void> {
    const { model } = this.scene;
    const settled = (this.inspected ?? []).map(async ({ tag, found }) => {
      const copy = found === undefined ? undefined : model.hold(this.place, found.id, this);
      const copies = copy === undefined ? [] : [copy];
      model.ackSent(copies);
      if (await this.link?.request("ACK", { id: tag })) model.ackConfirmed(copies);
      else model.problems.push(`${this.place.name}: the broker ended by itself`);
    });
    await Promise.all(settled);
  }

  /** Resolves when the broker has closed the connection. */
  async closed(): Promise<void> {
    await this.link?.closed;
    this.ended = true;
  }

  /** Ends as a crashed client does; what it held goes to others. */
  die(): void {
    this.link?.die();
    this.ended = true;
    this.place.endings++;
  }

  private onFrame({ command, headers, body }: LinkFrame): void {
    const { model } = this.scene;
    if (command !== "MESSAGE") {
      model.problems.push(`a consumer of ${this.place.name} was told ${command}: ${body}`);
      return;
    }
    const tag = headers.get("ack") ?? "";
    if (body.startsWith(MARKER)) {
      this.onMarker(body, tag);
      return;
    }
    const id = Number.parseInt(body, 10);
    if (body !== bodyOf(id))
      model.problems.push(`${this.place.name} has a body of ${body.length} bytes that is damaged`);
    const redelivered = headers.get("redelivered") === "true";
    const found = { id, deliveries: redelivered ? Number(headers.get("redeliveries")) : 0 };
    if (this.inspected !== undefined) this.inspected.push({ tag, found });
    else this.window.push({ tag, copy: model.delivered(this.place, found, this) });
  }

  /** A marker is settled with the messages around it. */
  private onMarker(body: string, tag: string): void {
    if (this.inspected === undefined) this.window.push({ tag, copy: undefined });
    else this.inspected.push({ tag, found: undefined });
    if (body !== this.marker) return;
    this.foundMarker?.();
    this.foundMarker = undefined;
  }

  private act(): void {
    const { link } = this;
    const { random } = this.scene;
    if (this.inspected !== undefined || link === undefined || link.over) return;
    while (this.window.length > 0 && link.unconfirmed < PIPELINE) {
      if (random.chance(0.15)) this.transact(link);
      else this.settle(link, random.chance(0.12) ? "NACK" : "ACK");
      // Some of it stays for later, and for the next life.
      if (random.chance(this.idleness)) return;
    }
  }

  private settle(link: Link, command: "ACK" | "NACK"): void {
    const { model } = this.scene;
    const { tag, copies } = this.take();
    if (command === "ACK") {
      model.ackSent(copies);
      link.ask("ACK", { id: tag }, "", () => model.ackConfirmed(copies));
    } else {
      model.nackSent(copies);
      link.ask("NACK", { id: tag }, "", () => model.nackConfirmed(copies));
    }
  }

  /** Settles and sends in one transaction. */
  private transact(link: Link): void {
    const { model, random, targets } = this.scene;
    const transaction = `t${++this.lastTransaction}`;
    const unit = new Unit();
    link.send("BEGIN", { transaction });
    for (let count = 1 + random.below(4); count > 0 && this.window.length > 0; count--) {
      const { tag, copies } = this.take();
      unit.settles.push(...copies);
      link.send("ACK", { id: tag, transaction });
    }
    for (let count = random.below(4); count > 0; count--) {
      const { destination, places } = random.pick(targets);
      const id = model.send(places, this.producer, unit);
      link.send("SEND", { destination, persistent: "true", transaction }, bodyOf(id));
    }
    endTransaction(link, unit, transaction, this.scene);
  }

  /** Takes what one ACK or NACK is about. */
  private take(): { tag: string; copies: Copy[] } {
    const { random } = this.scene;
    const near = Math.min(this.window.length, this.cumulative ? 12 : 200);
    const place = random.below(near);
    const taken = this.cumulative ? this.window.splice(0, place + 1) : this.window.splice(place, 1);
    return { tag: taken.at(-1)?.tag ?? "", copies: taken.flatMap(({ copy }) => copy ?? []) };
  }
}

/** Commits, aborts or leaves open. */
export function endTransaction(link: Link, unit: Unit, transaction: string, { model, random }: Scene): void {
  const fate = random.next();
  if (fate < 0.8) {
    model.sent(unit);
    link.ask("COMMIT", { transaction }, "", () => model.confirm(unit));
  } else if (fate < 0.95) {
    model.abort(unit);
    link.ask("ABORT", { transaction }, "", () => {});
  }
}
