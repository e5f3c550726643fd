import { Link, type LinkFrame } from "./crash-link.ts";
import {
  bodyOf,
  type Copy,
  type Found,
  type Holder,
  ORDINARY,
  type Place,
  type Sending,
  type Traits,
  Unit,
} from "./crash-copy.ts";
import { readDeath } from "./crash-dead-letters.ts";
import type { Model } from "./crash-model.ts";
import type { Random } from "./crash-random.ts";

/** Where clients send to, and where that ends up. */
export interface Target {
  readonly destination: string;
  readonly places: readonly Place[];
  /** What a message that is sent there now asks for. */
  readonly traits?: (random: Random) => Traits;
}

/** What the clients of one life of the broker share. */
export interface Scene {
  readonly model: Model;
  readonly random: Random;
  readonly port: number;
  readonly targets: readonly Target[];
  /** Whether producers give their messages ids and send some of them again. */
  readonly repeats: boolean;
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
  /** How likely it is that it cannot handle a message. */
  private readonly failing: number;
  private link: Link | undefined = undefined;
  private window: Held[] = [];
  private inspected: Read[] | undefined = undefined;
  /** How much of that came before the marker; what came behind it came by itself. */
  private complete = 0;
  private draining = false;
  private foundMarker: (() => void) | undefined = undefined;
  private marker = "";
  private lastTransaction = 0;

  constructor(scene: Scene, place: Place, producer: number, ack?: "individual") {
    this.scene = scene;
    this.place = place;
    this.producer = producer;
    this.cumulative = ack === undefined && scene.random.chance(0.4);
    this.failing = place.burial === undefined ? 0.12 : 0.5;
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
    // Behind everything that waits, whatever its priority.
    this.link.send("SEND", { destination, priority: "0" }, this.marker);
    await Promise.race([complete, this.link.closed]);
    if (this.foundMarker !== undefined) return undefined;
    this.complete = inspected.length;
    return inspected.flatMap(({ found }) => found ?? []);
  }

  /** Begins to settle, first of all what the inspection found; the model knows of it by now. */
  begin(): void {
    const { model } = this.scene;
    const inspected = this.inspected ?? [];
    this.inspected = undefined;
    for (const [index, { tag, found }] of inspected.entries()) {
      const late = index >= this.complete;
      if (found === undefined) this.window.push({ tag, copy: undefined });
      else if (late) this.window.push({ tag, copy: model.delivered(this.place, found, this) });
      else this.window.push({ tag, copy: model.hold(this.place, found.id, this) });
    }
    this.act();
  }

  /** The same, but settles all of it, one by one, and all that comes. */
  drain(): void {
    this.draining = true;
    this.begin();
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
    const found: Found = {
      id,
      deliveries: redelivered ? Number(headers.get("redeliveries")) : 0,
      priority: Number(headers.get("priority") ?? ORDINARY.priority),
      at: Date.now(),
      death: readDeath(headers),
    };
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
      if (this.draining) {
        this.settle(link, "ACK");
        continue;
      }
      if (random.chance(0.15)) this.transact(link);
      else this.settle(link, random.chance(this.failing) ? "NACK" : "ACK");
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
      link.ask("NACK", { id: tag }, "", () => model.nackConfirmed(this.place, copies));
    }
  }

  /** Settles and sends in one transaction. */
  private transact(link: Link): void {
    const { random, targets } = this.scene;
    const transaction = `t${++this.lastTransaction}`;
    const unit = new Unit();
    link.send("BEGIN", { transaction });
    for (let count = 1 + random.below(4); count > 0 && this.window.length > 0; count--) {
      const { tag, copies } = this.take();
      unit.settles.push(...copies);
      link.send("ACK", { id: tag, transaction });
    }
    for (let count = random.below(4); count > 0; count--) {
      const sending = include(random.pick(targets), this.producer, unit, this.scene);
      link.send("SEND", { ...headersOf(sending), transaction }, bodyOf(sending.id));
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

/** Chooses what a message that goes to a target asks for. */
export function include(target: Target, producer: number, unit: Unit, { model, random }: Scene): Sending {
  return model.send(target, producer, unit, target.traits?.(random) ?? ORDINARY);
}

/** The headers of a SEND. */
export function headersOf({ destination, traits }: Sending): Record<string, string> {
  return { destination, persistent: "true", ...traits.headers };
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
