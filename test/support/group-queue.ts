import { expect } from "vitest";
import { Address } from "../../core/addresses/address.ts";
import { type Content, Message, type WireFormat } from "../../core/message.ts";
import { type GroupMember, MessageGroups } from "../../core/queue/message-groups.ts";

const address = new Address("queue", ["groups"]);
const envelope = { address, durable: false, priority: 4, expiresAt: 0, receivedAt: 0 };

/** A message of a group, with a colour for members to choose by. */
export function groupMessage(groupId: string, colour = "red", groupSequence = 1): Message {
  const content: Content = {
    messageId: undefined,
    correlationId: undefined,
    replyTo: undefined,
    subject: colour,
    contentType: undefined,
    contentEncoding: undefined,
    userId: undefined,
    groupId,
    groupSequence,
    bodyKind: "bytes",
    properties: new Map(),
  };
  const format: WireFormat = { name: "test", open: () => content };
  return new Message(format, envelope, Buffer.alloc(0), 0, 0, 0, 0);
}

/** A consumer that wants messages of one colour, or all. */
export class Member implements GroupMember {
  readonly name: string;
  readonly colour: string | undefined;
  gone = false;

  constructor(name: string, colour?: string) {
    this.name = name;
    this.colour = colour;
  }

  wants(message: Message): boolean {
    return this.colour === undefined || message.content.subject === this.colour;
  }
}

/** What a member holds: the message at this place of the queue. */
export interface Held {
  readonly index?: number;
}

interface Item {
  readonly key: Held;
  readonly message: Message;
  state: "waiting" | "held" | "done";
}

/** What a member does that is told "draining": goes past it, and back when that ends; or waits there, if it must. */
export type Patience = "nobody waits" | "everybody waits" | "the heir waits";

interface Lane {
  readonly member: Member;
  readonly settles: boolean;
  readonly held: Item[];
  position: number;
}

/** The plainest queue there can be whose members do what `MessageGroups` says, each with a position of its own. */
export class QueueOfGroups {
  private readonly items: Item[] = [];
  private readonly lanes: Lane[] = [];
  private readonly groups: MessageGroups<Member, Held>;
  private readonly exclusive: boolean;
  private readonly patience: Patience;
  private lookAgain = false;
  private wentBack = false;

  constructor(setting: { maxGroups: number; rebalance: boolean; exclusive: boolean; patience: Patience }) {
    this.exclusive = setting.exclusive;
    this.patience = setting.patience;
    this.groups = new MessageGroups({ ...setting, moved: () => (this.lookAgain = true) });
  }

  publish(group: string, colour: string, sequence: number): void {
    const key = { index: this.items.length };
    this.items.push({ key, message: groupMessage(group, colour, sequence), state: "waiting" });
  }

  join(colour: string | undefined, settles: boolean): void {
    const member = new Member(`member-${this.items.length}`, colour);
    this.lanes.push({ member, settles, held: [], position: 0 });
    this.groups.join(member);
  }

  /** `early`: it leaves before what it held is put back. */
  leave(which: number, early: boolean): void {
    const lane = this.lane(which);
    if (lane === undefined) return;
    this.lanes.splice(this.lanes.indexOf(lane), 1);
    lane.member.gone = true;
    if (early) this.groups.leave(lane.member);
    this.return(lane);
    this.groups.leave(lane.member);
    this.goBack();
  }

  /** Goes on until so many messages were given, or to the end; returns how many were. */
  look(which: number, credit: number): number {
    const lane = this.lane(which);
    if (lane === undefined) return 0;
    let given = 0;
    for (let steps = 0; given < credit; steps++) {
      expect(steps, "steps until it is through").toBeLessThan(20_000);
      const item = this.items[lane.position++];
      if (item === undefined) {
        lane.position--;
        return given;
      }
      const answer = item.state === "waiting" && lane.member.wants(item.message) ? this.offer(item, lane) : "passed";
      if (answer === "given") given++;
      if (answer === "waits") lane.position--;
      if (!this.goBack() && answer === "waits") return given;
    }
    return given;
  }

  settle(which: number, count: number): number {
    const lane = this.lane(which);
    const settled = lane?.held.splice(0, count) ?? [];
    for (const item of settled) {
      item.state = "done";
      if (this.groups.settled(item.key) && this.patience === "nobody waits") this.lookAgain = true;
    }
    this.goBack();
    return settled.length;
  }

  putBack(which: number): void {
    const lane = this.lane(which);
    if (lane !== undefined) this.return(lane);
    this.goBack();
  }

  /** Everybody takes and settles until nobody gets anything more; returns what is left though somebody wants it. */
  finish(): string[] {
    let progress = 1;
    for (let rounds = 0; progress > 0; rounds++) {
      expect(rounds, "rounds until nobody gets anything more").toBeLessThan(5000);
      progress = 0;
      this.wentBack = false;
      for (let which = 0; which < this.lanes.length; which++) {
        progress += this.look(which, 3);
        progress += this.settle(which, 2);
      }
      if (this.wentBack) progress++;
    }
    const left = this.items.filter(({ state, message }) => {
      return state !== "done" && this.lanes.some(({ member }) => member.wants(message));
    });
    return left.map(({ key, message }) => `${key.index} of ${message.content.groupId}`);
  }

  private lane(which: number): Lane | undefined {
    return this.lanes[which % Math.max(this.lanes.length, 1)];
  }

  private offer(item: Item, lane: Lane): "given" | "passed" | "waits" {
    const { message, key } = item;
    const owner = this.groups.owner(message);
    if (owner === "draining" && this.patience !== "nobody waits") {
      return this.patience === "everybody waits" || this.groups.heir(message) === lane.member ? "waits" : "passed";
    }
    if (owner !== lane.member) return "passed";
    const group = message.content.groupId;
    if (this.exclusive) {
      const others = this.lanes.filter((other) => other !== lane);
      const theirs = others.flatMap(({ held }) => held.map((their) => their.message.content.groupId));
      expect(theirs, "what others hold").not.toContain(group);
    }
    this.groups.given(message, lane.member, lane.settles ? key : undefined);
    item.state = lane.settles ? "held" : "done";
    if (lane.settles) lane.held.push(item);
    return "given";
  }

  private return(lane: Lane): void {
    for (const item of lane.held.splice(0)) {
      item.state = "waiting";
      if (this.groups.settled(item.key) && this.patience === "nobody waits") this.lookAgain = true;
      for (const other of this.lanes) other.position = Math.min(other.position, item.key.index ?? 0);
    }
  }

  private goBack(): boolean {
    if (!this.lookAgain) return false;
    this.lookAgain = false;
    this.wentBack = true;
    for (const lane of this.lanes) lane.position = 0;
    return true;
  }
}
