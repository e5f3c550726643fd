import type { Scene } from "./crash-consumer.ts";
import { Link } from "./crash-link.ts";

/** What something may be after a crash: as confirmed last, or as anything said later. */
class Register {
  private confirmed = 0;
  private readonly later: number[] = [];

  /** Says a new value; returns what to call when it is confirmed. */
  say(value: number): () => void {
    this.later.push(value);
    return () => {
      this.confirmed = value;
      // Confirmations come in order.
      this.later.shift();
    };
  }

  /** Takes over what was found; returns what was expected if that is something else. */
  found(value: number): string | undefined {
    const possible = [this.confirmed, ...this.later];
    this.confirmed = value;
    this.later.length = 0;
    return possible.includes(value) ? undefined : possible.join(" or ");
  }
}

/** 0 is for what is not there. */
const NONE = 0;
const PIPELINE = 3;

/** Retained messages of topics, and durable subscriptions that come and go. Lives longer than the broker. */
export class States {
  private readonly retained = new Map<string, Register>();
  private readonly durables = new Map<string, Register>();
  private version = 0;
  private link: Link | undefined = undefined;

  constructor() {
    for (const name of ["1", "2", "3"]) {
      this.retained.set(name, new Register());
      this.durables.set(name, new Register());
    }
  }

  /** Changes them, until the broker is gone. */
  async begin(scene: Scene): Promise<void> {
    this.link = await Link.open(scene.port, {
      frame: ({ command, body }) => {
        if (command === "ERROR") scene.model.problems.push(`a client that changes states was told: ${body}`);
      },
      handled: () => this.act(scene),
    });
    if (this.link !== undefined) this.act(scene);
  }

  async closed(): Promise<void> {
    await this.link?.closed;
  }

  /** Compares what is there after a restart. */
  async inspect({ model, port }: Scene): Promise<void> {
    for (const [name, register] of this.retained) {
      const value = await readRetained(port, name);
      if (value === undefined) return;
      const expected = register.found(value);
      if (expected !== undefined) model.problems.push(`topic ${name} retains ${value}, expected ${expected}`);
    }
    for (const [name, register] of this.durables) {
      const value = await readDurable(port, name);
      if (value === undefined) return;
      const expected = register.found(value);
      if (expected !== undefined)
        model.problems.push(`durable subscription d${name} is ${value}, expected ${expected}`);
    }
  }

  private act({ random }: Scene): void {
    const { link } = this;
    if (link === undefined) return;
    while (link.unconfirmed < PIPELINE) {
      const name = random.pick(["1", "2", "3"]);
      if (random.chance(0.7)) this.retain(link, name, random.chance(0.2));
      else this.toggle(link, name, random.chance(0.5));
    }
  }

  private retain(link: Link, name: string, removes: boolean): void {
    const value = removes ? NONE : ++this.version;
    const headers = { destination: `/topic/state.${name}`, retain: removes ? "remove" : "set", persistent: "true" };
    link.ask("SEND", headers, String(value), this.retained.get(name)?.say(value) ?? (() => {}));
  }

  /** Makes a durable subscription, or deletes it: made first if it is not there. */
  private toggle(link: Link, name: string, deletes: boolean): void {
    const register = this.durables.get(name);
    const id = `d${name}`;
    const durable = { id, persistent: "true" };
    link.ask("SUBSCRIBE", { ...durable, destination: "/topic/load.news" }, "", register?.say(1) ?? (() => {}));
    if (deletes) link.ask("UNSUBSCRIBE", durable, "", register?.say(NONE) ?? (() => {}));
    else link.send("UNSUBSCRIBE", { id });
  }
}

/** The value that a topic retains; undefined when the broker is gone first. */
async function readRetained(port: number, name: string): Promise<number | undefined> {
  const bodies: string[] = [];
  let come: (() => void) | undefined;
  const first = new Promise<void>((resolve) => {
    come = resolve;
  });
  const link = await Link.open(port, {
    frame: ({ body }) => {
      bodies.push(body);
      come?.();
    },
  });
  if (link === undefined) return undefined;
  const destination = `/topic/state.${name}`;
  await link.request("SUBSCRIBE", { id: "1", destination });
  // Comes first when nothing is retained.
  link.send("SEND", { destination }, String(NONE));
  await Promise.race([first, link.closed]);
  link.die();
  const [value] = bodies;
  return value === undefined ? undefined : Number(value);
}

/** 1 when the durable subscription is there; undefined when the broker is gone first. */
async function readDurable(port: number, name: string): Promise<number | undefined> {
  let refusal: string | undefined;
  const link = await Link.open(port, {
    frame: ({ command, body }) => {
      if (command === "ERROR") refusal = body;
    },
  });
  if (link === undefined) return undefined;
  const there = await link.request("SUBSCRIBE", { id: "1", destination: `/dsub/d${name}`, ack: "client" });
  link.die();
  if (there) return 1;
  return refusal === undefined ? undefined : NONE;
}
