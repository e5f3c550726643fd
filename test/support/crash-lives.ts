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
import { Consumer, type Scene, type Target } from "./crash-consumer.ts";
import { Link } from "./crash-link.ts";
import { type Found, Model, Place } from "./crash-model.ts";
import { Producer } from "./crash-producer.ts";
import { Random } from "./crash-random.ts";
import { States } from "./crash-states.ts";

const LONGEST_LIFE_MS = 400;
const PRODUCERS = 3;
/** What a producer sends at most in one life: what is left over must not grow without end. */
const MESSAGES = 400;

const QUEUES = ["load.a", "load.b", "load.c"];
const DURABLES = [
  { name: "s1", topic: "/topic/load.news" },
  { name: "s2", topic: "/topic/load.news" },
  { name: "s3", topic: "/topic/load.**" },
];

/** Where a place is consumed, and where to send to reach it. */
interface Access {
  readonly place: Place;
  readonly source: Readonly<Record<string, string>>;
  readonly destination: string;
}

const placesOf = (accesses: readonly Access[]): Place[] => accesses.map(({ place }) => place);

/** What came of many lives. */
export interface Outcome {
  readonly kills: number;
  readonly confirmedSends: number;
  readonly confirmedAcks: number;
  /** Messages found after restarts, in all. */
  readonly found: number;
}

/** Kills a broker again and again; throws at the first thing that must not be. */
export async function killAgainAndAgain(directory: string, kills: number, seed: number): Promise<Outcome> {
  const lives = new Lives(directory, new Random(seed));
  await lives.prepare();
  for (let life = 1; life <= kills; life++) {
    await lives.live();
    lives.complain(`seed ${seed}, life ${life}`);
  }
  await lives.finish();
  lives.complain(`seed ${seed}, after ${kills} lives`);
  return lives.outcome(kills);
}

class Lives {
  private readonly directory: string;
  private readonly random: Random;
  private readonly model = new Model();
  private readonly states = new States();
  private readonly accesses: readonly Access[];
  private readonly targets: readonly Target[];
  private lastProducer = 0;
  private number = 0;
  private found = 0;

  constructor(directory: string, random: Random) {
    this.directory = directory;
    this.random = random;
    const queues = QUEUES.map((name): Access => {
      const destination = `/queue/${name}`;
      return { place: new Place(destination), source: { destination }, destination };
    });
    const durables = DURABLES.map(({ name, topic }): Access => {
      const source = { destination: `/dsub/${name}` };
      return { place: new Place(source.destination), source, destination: topic.replace("**", "other") };
    });
    this.accesses = [...queues, ...durables];
    this.targets = [
      ...queues.map(({ place, destination }): Target => ({ destination, places: [place] })),
      { destination: "/topic/load.news", places: placesOf(durables) },
      { destination: "/topic/load.other", places: placesOf(durables.slice(2)) },
      { destination: "/queue/load.a,/queue/load.b", places: placesOf(queues.slice(0, 2)) },
    ];
  }

  /** Makes the durable subscriptions. */
  async prepare(): Promise<void> {
    const broker = await this.start();
    const link = await Link.open(broker.port, { frame: () => {} });
    for (const { name, topic } of DURABLES) {
      await link?.request("SUBSCRIBE", { id: name, destination: topic, persistent: "true" });
    }
    await broker.end("SIGKILL");
  }

  /** One life, up to its end. */
  async live(): Promise<void> {
    this.number++;
    const { random } = this;
    if (random.chance(0.1)) await this.killEarly(random.below(700));
    const broker = await this.start();
    const scene: Scene = { model: this.model, random, port: broker.port, targets: this.targets };
    const consumers = this.accesses.map(({ place }) => new Consumer(scene, place, ++this.lastProducer));
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

  /** Finds out what is there for the last time, settles it, and sees that then there is nothing. */
  async finish(): Promise<void> {
    for (const empty of [false, true]) {
      const broker = await this.start();
      const scene: Scene = { model: this.model, random: this.random, port: broker.port, targets: this.targets };
      const consumers = this.accesses.map(({ place }) => new Consumer(scene, place, 0, "individual"));
      const found = await this.inspect(consumers);
      if (found === undefined) throw this.cutOff(broker);
      this.model.restarted(found);
      for (const [place, messages] of found) {
        if (empty && messages.length > 0)
          this.model.problems.push(`${place.name} still has ${messages.length} messages`);
      }
      await Promise.all(consumers.map((consumer) => consumer.drain()));
      await this.kill(broker);
      await Promise.all(consumers.map((consumer) => consumer.closed()));
    }
  }

  /** Throws when there is something to complain about. */
  complain(when: string): void {
    const { problems } = this.model;
    if (problems.length === 0) return;
    throw new Error(`${when}: ${problems.length} problems\n${problems.slice(0, 20).join("\n")}`);
  }

  outcome(kills: number): Outcome {
    const { confirmed, settled } = this.model;
    return { kills, confirmedSends: confirmed, confirmedAcks: settled, found: this.found };
  }

  private cutOff(broker: BrokerProcess): Error {
    return new Error(["An inspection was cut off", ...this.model.problems, broker.output()].join("\n"));
  }

  private async inspect(consumers: readonly Consumer[]): Promise<Map<Place, readonly Found[]> | undefined> {
    const found = new Map<Place, readonly Found[]>();
    await Promise.all(
      this.accesses.map(async ({ place, source, destination }, index) => {
        const messages = await consumers[index]?.inspect(source, destination, String(this.number));
        if (messages !== undefined) found.set(place, messages);
      }),
    );
    return found.size === this.accesses.length ? found : undefined;
  }

  private async load(scene: Scene, broker: BrokerProcess, inspectors: readonly Consumer[]): Promise<void> {
    const { random } = this;
    const lifeMs = random.below(LONGEST_LIFE_MS);
    const consumers = [...inspectors];
    const producers = Array.from({ length: PRODUCERS }, () => new Producer(scene, ++this.lastProducer, MESSAGES));
    const opening: Promise<unknown>[] = [this.states.begin(scene), ...producers.map((producer) => producer.begin())];
    const dying: NodeJS.Timeout[] = [];
    const join = ({ place, source }: Access): void => {
      const consumer = new Consumer(scene, place, ++this.lastProducer);
      consumers.push(consumer);
      opening.push(consumer.open(source));
    };
    for (const consumer of inspectors) consumer.begin();
    for (const [index, access] of this.accesses.entries()) {
      if (random.chance(0.4)) join(access);
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
    await Promise.all([...consumers, ...producers, this.states].map((client) => client.closed()));
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
    const memory = this.random.chance(0.5) ? ['queues=[{match: "**", memory: 64k}]'] : [];
    return startBrokerProcess(this.directory, memory);
  }

  /** Starts a broker and kills it in the middle of that. */
  private async killEarly(afterMs: number): Promise<void> {
    const sets = [`store.directory=${this.directory}`, "listeners.stomp.port=0"];
    const others = ["mqtt", "amqp", "openwire"].map((name) => `listeners.${name}.enabled=false`);
    const options = [...sets, ...others].flatMap((set) => ["--set", set]);
    const child = spawn(process.execPath, ["src/main.ts", "serve", ...options], { cwd: ROOT, stdio: "ignore" });
    const gone = once(child, "exit");
    await pause(afterMs);
    child.kill("SIGKILL");
    await gone;
  }
}

/** Lets a random time go by: that the broker is killed at any instant is the point. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
