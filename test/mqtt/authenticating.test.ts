import type { Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import type { Authenticator, Step } from "../../core/broker.ts";
import { FlowWorld, Wire } from "./flow-world.ts";

const METHOD = "WORD";

/** Lets everybody in, with the last word as the group; decides when it is told to, and asks for more after "more". */
class SlowAuthenticator implements Authenticator {
  readonly mechanisms = [METHOD];
  #decide: (() => void)[] = [];

  login() {
    return Promise.reject(new Error("No passwords here"));
  }

  begin() {
    return {
      step: (data: Buffer) =>
        new Promise<Step>((resolve, reject) => {
          this.#decide.push(() => {
            const word = data.toString();
            if (word === "broken") reject(new Error("No such file"));
            else if (word === "more") resolve({ done: false, data });
            else resolve({ done: true, data: undefined, login: { user: "ann", groups: [word] } });
          });
        }),
    };
  }

  async decide(): Promise<void> {
    for (const decide of this.#decide.splice(0)) decide();
    await new Promise(setImmediate);
  }
}

/** Only who is in the group `senders` may send. */
const access: Access = { allows: ({ groups }, action) => action !== "send" || groups.includes("senders") };

async function open() {
  const authenticator = new SlowAuthenticator();
  const world = await FlowWorld.open({ core: { broker: { authenticator, access } } });
  return { authenticator, world };
}

function connect(word: string): Packet {
  const properties = { authenticationMethod: METHOD, authenticationData: Buffer.from(word) };
  return { cmd: "connect", clientId: "c", clean: true, keepalive: 0, protocolVersion: 5, properties };
}

function auth(reasonCode: 0x18 | 0x19, word: string): Packet {
  const properties = { authenticationMethod: METHOD, authenticationData: Buffer.from(word) };
  return { cmd: "auth", reasonCode, properties };
}

/** A client that was let in with the word. */
async function connected(word: string): Promise<{ authenticator: SlowAuthenticator; world: FlowWorld; wire: Wire }> {
  const { authenticator, world } = await open();
  const wire = new Wire(world, 5).send(connect(word));
  await authenticator.decide();
  expect(wire.said).toEqual(["connack"]);
  return { authenticator, world, wire };
}

function publish(wire: Wire, id: number): string[] {
  return wire.publish(1, id, "x").said;
}

describe("a client that authenticates itself again", () => {
  it("may from then on do what it may do by its new login, also where it has sent before", async () => {
    const { authenticator, wire } = await connected("senders");
    expect(publish(wire, 1)).toEqual(["puback 1"]);
    wire.send(auth(0x19, "others"));
    expect(publish(wire, 2)).toEqual(["puback 2"]);
    await authenticator.decide();
    expect(wire.said).toEqual(["auth"]);
    expect(publish(wire, 3)).toEqual(["puback 3 0x87"]);
    wire.send(auth(0x19, "senders"));
    await authenticator.decide();
    expect(wire.said).toEqual(["auth"]);
    expect(publish(wire, 4)).toEqual(["puback 4"]);
  });

  it("may not speak twice in turn", async () => {
    const first = await connected("senders");
    first.wire.send(auth(0x19, "senders"), auth(0x18, "senders"));
    expect(first.wire.said).toEqual(["disconnect 0x82"]);
    const { authenticator, wire } = await connected("senders");
    wire.send(auth(0x19, "more"));
    await authenticator.decide();
    expect(wire.said).toEqual(["auth"]);
    wire.send(auth(0x18, "senders"), auth(0x18, "senders"));
    expect(wire.said).toEqual(["disconnect 0x82"]);
  });

  it("and leaves meanwhile is told nothing more", async () => {
    const { authenticator, world, wire } = await connected("senders");
    wire.send(auth(0x19, "senders")).send({ cmd: "disconnect" });
    await authenticator.decide();
    world.clock.advance(60_000);
    expect(wire.said).toEqual([]);
    expect(wire.peer.closedFor).toBe("the client disconnected");
  });

  it("is told that the broker failed when it did, and not why", async () => {
    const { authenticator, wire } = await connected("senders");
    wire.send(auth(0x19, "broken"));
    await authenticator.decide();
    expect(wire.read()).toMatchObject([
      { cmd: "disconnect", reasonCode: 0x80, properties: { reasonString: "The broker failed; its log says why" } },
    ]);
    expect(wire.peer.closedFor).toMatch(/No such file/);
  });
});

describe("a client that is gone before the broker has decided", () => {
  it.each<[string, (wire: Wire) => void]>([
    ["with a DISCONNECT", (wire) => wire.send({ cmd: "disconnect" })],
    ["without a word", (wire) => wire.lose()],
  ])("%s does not exist for the core", async (_what, leave) => {
    const { authenticator, world } = await open();
    const wire = new Wire(world, 5).send(connect("senders"));
    leave(wire);
    await authenticator.decide();
    expect(wire.said).toEqual([]);
    expect([...world.host.clients]).toEqual([]);
    expect(world.sessionOf("c")).toBeUndefined();
  });
});
