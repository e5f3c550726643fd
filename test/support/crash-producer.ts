import { endTransaction, headersOf, include, PIPELINE, type Scene } from "./crash-consumer.ts";
import { bodyOf, type Sending, Unit } from "./crash-copy.ts";
import { Link, type LinkFrame } from "./crash-link.ts";
import type { Repeat } from "./crash-model.ts";

/** Sends persistent messages, alone and in transactions, each with a receipt. */
export class Producer {
  private readonly scene: Scene;
  private readonly number: number;
  private link: Link | undefined = undefined;
  private lastTransaction = 0;
  /** How many messages it still may send. */
  private left: number;

  constructor(scene: Scene, number: number, messages: number) {
    this.scene = scene;
    this.number = number;
    this.left = messages;
  }

  async begin(): Promise<void> {
    this.link = await Link.open(this.scene.port, { frame: (frame) => this.onFrame(frame), handled: () => this.act() });
    if (this.link !== undefined) this.act();
  }

  async closed(): Promise<void> {
    await this.link?.closed;
  }

  private onFrame({ command, body }: LinkFrame): void {
    this.scene.model.problems.push(`a producer was told ${command}: ${body}`);
  }

  private act(): void {
    const { link } = this;
    const { random } = this.scene;
    if (link === undefined) return;
    while (link.unconfirmed < PIPELINE && this.left > 0) {
      const repeat = this.takeRepeat();
      if (repeat !== undefined) this.repeat(link, repeat);
      else if (random.chance(0.15)) this.transact(link);
      else this.sendOne(link);
    }
  }

  private sendOne(link: Link): void {
    const { model } = this.scene;
    const unit = new Unit();
    const sending = this.include(unit, this.identifies());
    model.sent(unit);
    link.ask("SEND", this.headersOf(sending, unit), bodyOf(sending.id), () => model.confirm(unit));
  }

  private transact(link: Link): void {
    const transaction = `t${++this.lastTransaction}`;
    const unit = new Unit();
    const identified = this.identifies();
    link.send("BEGIN", { transaction });
    for (let count = 1 + this.scene.random.below(8); count > 0; count--) {
      const sending = this.include(unit, identified);
      link.send("SEND", { ...this.headersOf(sending, unit), transaction }, bodyOf(sending.id));
    }
    endTransaction(link, unit, transaction, this.scene);
  }

  /** Sends again what may have been sent before. */
  private repeat(link: Link, repeat: Repeat): void {
    const { model } = this.scene;
    const { sendings } = repeat;
    const unit = model.repeat(repeat, this.number);
    this.left -= sendings.length;
    const [first] = sendings;
    if (first !== undefined && sendings.length === 1) {
      model.sent(unit);
      link.ask("SEND", identify(first), bodyOf(first.id), () => model.confirm(unit));
      return;
    }
    const transaction = `t${++this.lastTransaction}`;
    link.send("BEGIN", { transaction });
    for (const sending of sendings) link.send("SEND", { ...identify(sending), transaction }, bodyOf(sending.id));
    model.sent(unit);
    link.ask("COMMIT", { transaction }, "", () => model.confirm(unit));
  }

  private takeRepeat(): Repeat | undefined {
    const { model, random, repeats } = this.scene;
    if (!repeats) return undefined;
    const unseen = model.repeats.pop();
    if (unseen !== undefined) return unseen;
    return random.chance(0.05) && model.recent.length > 0 ? random.pick(model.recent) : undefined;
  }

  private identifies(): boolean {
    return this.scene.repeats && this.scene.random.chance(0.4);
  }

  private include(unit: Unit, identified: boolean): Sending {
    this.left--;
    const sending = include(this.scene.random.pick(this.scene.targets), this.number, unit, this.scene);
    if (identified) unit.identified.push(sending);
    return sending;
  }

  private headersOf(sending: Sending, { identified }: Unit): Record<string, string> {
    return identified.length > 0 ? identify(sending) : headersOf(sending);
  }
}

/** With the id by which the broker finds what is sent again. */
function identify(sending: Sending): Record<string, string> {
  return { ...headersOf(sending), "duplicate-id": `message ${sending.id}` };
}
