/*
 * The lives of a broker over one directory, each ended by SIGKILL:
 *
 *     start -> find out what is there, compare -> settle that, send more, die -> SIGKILL -> start -> ...
 *
 * Some lives end earlier: while the broker starts, or while it is being looked into.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type BrokerProcess, ROOT, startBrokerProcess } from "./broker.ts";
import { Consumer, type Scene } from "./crash-consumer.ts";
import type { Found, Place } from "./crash-copy.ts";
import { Link } from "./crash-link.ts";
import { Model } from "./crash-model.ts";
import { Producer } from "./crash-producer.ts";
import { Random } from "./crash-random.ts";
import { Recurring } from "./crash-recurring.ts";
import { States } from "./crash-states.ts";
import type { Access, World } from "./crash-world.ts";
import { eventually } from "./eventually.ts";

const LONGEST_LIFE_MS = 400;
const PRODUCERS = 3;
/** What a producer sends at most in one life: what is left over must not grow without end. */
const MESSAGES = 400;
/** Until what waited for its time has come. */
const LONGEST_WAIT_MS = 30_000;

/** What came of many lives. */
export interface Outcome {
  readonly kills: number;
  readonly confirmedSends: number;
  readonly confirmedAcks: number;
  /** Messages found after restarts, in all. */
  readonly found: number;
  /** Those of them among the dead letters. */
  readonly deadLetters: number;
  /** Messages sent again with the same id. */
  readonly repeated: number;
}

/** How often a broker is killed, and with which choices. */
export interface Course {
  readonly kills: number;
  readonly seed: number;
  /** Looks into the directory after the last kill; told the settings. */
  readonly afterwards?: (settings: readonly string[]) => Promise<void>;
}

/** Kills a broker again and again; throws at the first thing that must not be. */
export async function killAgainAndAgain(directory: string, world: World, course: Course): Promise<Outcome> {
  const { kills, seed, afterwards } = course;
  const lives = new Lives(directory, world, new Random(seed));
  await lives.prepare();
  for (let life = 1; life <= kills; life++) {
    await lives.live();
    lives.complain(`seed ${seed}, life ${life}`);
  }
  await afterwards?.(settingsOf(world));
  await lives.finish();
  lives.complain(`seed ${seed}, after ${kills} lives`);
  return lives.outcome(kills);
}

class Lives {
  private readonly directory: string;
  private readonly world: World;
  private readonly random: Random;
  private readonly model: Model;
  private readonly states = new States();
  private readonly recurring = new Recurring();
  private lastProducer = 0;
  private number = 0;
  private found = 0;

  constructor(directory: string, world: World, random: Random) {
    this.directory = directory;
    this.world = world;
    this.random = random;
    this.model = new Model(world.accesses.map(({ place }) => place));
  }

  /** Makes what must be there before something is sent to it. */
  async prepare(): Promise<void> {
    const broker = await this.start();
    const link = await Link.open(broker.port, { frame: () => {} });
    for (const { name, topic } of this.world.durables) {
      await link?.request("SUBSCRIBE", { id: name, destination: topic, persistent: "true" });
    }
    for (const [index, { source, place }] of this.world.accesses.entries()) {
      // A queue that a virtual topic fills must be there.
      await link?.request("SUBSCRIBE", { id: `place ${index}`, ...source });
      if (link?.over !== false) throw new Error(`${place.name} cannot be consumed: ${broker.output()}`);
    }
    await broker.end("SIGKILL");
  }

  /** One life, up to its end. */
  async live(): Promise<void> {
    this.number++;
    const { random } = this;
    if (random.chance(0.1)) await this.killEarly(random.below(700));
    const broker = await this.start();
    const scene = this.sceneOf(broker);
    const consumers = this.world.accesses.map(({ place }) => new Consumer(scene, place, ++this.lastProducer));
    const looking = Promise.all([this.inspect(consumers), this.states.inspect(scene)]);
    if (random.chance(0.1)) {
      await pause(random.below(60));
      await this.kill(broker);
      await looking;
      return;
    }
    const [found] = await looking;
    if (found === undefined) throw this.cutOff(broker);
    this.model.restarted(found);
    for (const messages of found.values()) this.found += messages.length;
    await this.load(scene, broker, consumers);
  }

  /** Settles what is there and what is still to come, and sees that then there is nothing. */
  async finish(): Promise<void> {
    for (const empty of [false, true]) {
      const broker = await this.start();
      const scene = this.sceneOf(broker);
      const consumers = this.world.accesses.map(({ place }) => new Consumer(scene, place, 0, "individual"));
      const found = await this.inspect(consumers);
      if (found === undefined) throw this.cutOff(broker);
      if (empty) this.expectNothing(found);
      this.model.restarted(found);
      for (const consumer of consumers) consumer.drain();
      await this.recurring.begin(scene, true);
      await this.waitForTheRest();
      await this.kill(broker);
      await Promise.all([...consumers, this.recurring].map((client) => client.closed()));
      if (this.model.problems.length > 0) return;
    }
  }

  /** Throws when there is something to complain about. */
  complain(when: string): void {
    const { problems } = this.model;
    if (problems.length === 0) return;
    throw new Error(`${when}: ${problems.length} problems\n${problems.slice(0, 20).join("\n")}`);
  }

  outcome(kills: number): Outcome {
    const { confirmed, settled, deadLetters, repeated } = this.model;
    return { kills, confirmedSends: confirmed, confirmedAcks: settled, found: this.found, deadLetters, repeated };
  }

  private sceneOf({ port }: BrokerProcess): Scene {
    const { model, random, world } = this;
    return { model, random, port, targets: world.targets, repeats: world.repeats };
  }

  /** Nothing is left, unless it was not known whether it would come at all. */
  private expectNothing(found: ReadonlyMap<Place, readonly Found[]>): void {
    for (const [place, messages] of found) {
      const left = messages.filter(({ id }) => place.copies.get(id)?.unit.state !== "sent");
      if (left.length > 0) this.model.problems.push(`${place.name} still has ${left.length} messages`);
    }
  }

  private async waitForTheRest(): Promise<void> {
    const { model, recurring } = this;
    const outstanding = (): string[] => [...model.outstanding(), ...recurring.outstanding()];
    try {
      await eventually(() => model.allDue && outstanding().length === 0, LONGEST_WAIT_MS);
    } catch {
      model.problems.push(...outstanding().map((name) => `${name} never came`));
    }
  }

  private cutOff(broker: BrokerProcess): Error {
    return new Error(["An inspection was cut off", ...this.model.problems, broker.output()].join("\n"));
  }

  private async inspect(consumers: readonly Consumer[]): Promise<Map<Place, readonly Found[]> | undefined> {
    const found = new Map<Place, readonly Found[]>();
    await Promise.all(
      this.world.accesses.map(async ({ place, source, destination }, index) => {
        const messages = await consumers[index]?.inspect(source, destination, String(this.number));
        if (messages !== undefined) found.set(place, messages);
      }),
    );
    return found.size === this.world.accesses.length ? found : undefined;
  }

  private async load(scene: Scene, broker: BrokerProcess, inspectors: readonly Consumer[]): Promise<void> {
    const { random } = this;
    const lifeMs = random.below(LONGEST_LIFE_MS);
    const consumers = [...inspectors];
    const producers = Array.from({ length: PRODUCERS }, () => new Producer(scene, ++this.lastProducer, MESSAGES));
    const opening: Promise<unknown>[] = [this.states.begin(scene), ...producers.map((producer) => producer.begin())];
    if (this.world.repeats) opening.push(this.recurring.begin(scene));
    const dying: NodeJS.Timeout[] = [];
    const join = ({ place, source }: Access): void => {
      const consumer = new Consumer(scene, place, ++this.lastProducer);
      consumers.push(consumer);
      opening.push(consumer.open(source));
    };
    for (const consumer of inspectors) consumer.begin();
    for (const [index, access] of this.world.accesses.entries()) {
      if (access.shared === true || random.chance(0.4)) join(access);
      const dies = (): void => {
        inspectors[index]?.die();
        join(access);
      };
      if (random.chance(0.4)) dying.push(setTimeout(dies, random.below(LONGEST_LIFE_MS)));
    }
    await pause(lifeMs);
    for (const timer of dying) clearTimeout(timer);
    await this.kill(broker);
    await Promise.all(opening);
    await Promise.all([...consumers, ...producers, this.states, this.recurring].map((client) => client.closed()));
  }

  private async kill(broker: BrokerProcess): Promise<void> {
    if (broker.process.exitCode !== null) this.model.problems.push(`the broker ended by itself: ${broker.output()}`);
    await broker.end("SIGKILL");
    // 40 is the level of warnings: whatever was set aside, failed or was given up.
    const worries = broker
      .output()
      .split("\n")
      .filter((line) => /"level":[456]0/.test(line));
    this.model.problems.push(...worries);
  }

  /** Every other life keeps next to nothing in memory, so that much has to be read back. */
  private start(): Promise<BrokerProcess> {
    const memory = this.random.chance(0.5) ? ['{match: "**", memory: 64k}'] : [];
    return startBrokerProcess(this.directory, settingsOf(this.world, memory));
  }

  /** Starts a broker and kills it in the middle of that. */
  private async killEarly(afterMs: number): Promise<void> {
    const sets = [`store.directory=${this.directory}`, "listeners.stomp.port=0", ...settingsOf(this.world)];
    const others = ["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`);
    const options = [...sets, ...others, "management.enabled=false"].flatMap((set) => ["--set", set]);
    const child = spawn(process.execPath, ["src/main.ts", "serve", ...options], { cwd: ROOT, stdio: "ignore" });
    const gone = once(child, "exit");
    await pause(afterMs);
    child.kill("SIGKILL");
    await gone;
  }
}

function settingsOf({ queues, settings }: World, others: readonly string[] = []): string[] {
  return [`queues=[${[...queues, ...others].join(", ")}]`, ...settings];
}

/** Lets a random time go by: that the broker is killed at any instant is the point. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
