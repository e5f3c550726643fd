import { endTransaction, PIPELINE, type Scene } from "./crash-consumer.ts";
import { Link, type LinkFrame } from "./crash-link.ts";
import { bodyOf, Unit } from "./crash-model.ts";

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
      if (random.chance(0.15)) this.transact(link);
      else this.sendOne(link);
    }
  }

  private sendOne(link: Link): void {
    const { model } = this.scene;
    const unit = new Unit();
    const { destination, id } = this.include(unit);
    model.sent(unit);
    link.ask("SEND", { destination, persistent: "true" }, bodyOf(id), () => model.confirm(unit));
  }

  private transact(link: Link): void {
    const transaction = `t${++this.lastTransaction}`;
    const unit = new Unit();
    link.send("BEGIN", { transaction });
    for (let count = 1 + this.scene.random.below(8); count > 0; count--) {
      const { destination, id } = this.include(unit);
      link.send("SEND", { destination, persistent: "true", transaction }, bodyOf(id));
    }
    endTransaction(link, unit, transaction, this.scene);
  }

  private include(unit: Unit): { destination: string; id: number } {
    const { destination, places } = this.scene.random.pick(this.scene.targets);
    this.left--;
    return { destination, id: this.scene.model.send(places, this.number, unit) };
  }
}
