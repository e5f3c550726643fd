import type { Clock, Timer } from "../../core/time/clock.ts";
import { type Peer, type Protocol, ProtocolError, type Session } from "../../core/protocol.ts";
import { Listener } from "../../src/net/listener.ts";
import type { ListenerOptions } from "../../src/net/listener-options.ts";
import { type Log, Network, type NetworkSettings } from "../../src/net/network.ts";

/** The machine's own time. */
export const realClock: Clock = {
  now: () => Date.now(),
  endOfTurn: (task) => {
    setImmediate(task);
  },
  after: (delayMs, task): Timer => {
    const timeout = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** Keeps what was logged. */
class TestLog implements Log {
  readonly entries: { level: string; fields: Record<string, unknown>; text: string }[] = [];
  readonly debug = this.at("debug");
  readonly info = this.at("info");
  readonly warn = this.at("warn");
  readonly error = this.at("error");

  /** Why connections ended, in order. */
  get reasons(): unknown[] {
    return this.entries.filter(({ text }) => text === "connection closed").map(({ fields }) => fields["reason"]);
  }

  private at(level: string): (fields: object, text: string) => void {
    return (fields, text) => {
      this.entries.push({ level, fields: { ...fields }, text });
    };
  }
}

/** A session that answers every byte with itself, but obeys `BREACH`, `CRASH` and `BYE`. */
export class EchoSession implements Session {
  readonly peer: Peer;
  readonly protocol: string;
  drains = 0;
  readonly closings: string[] = [];
  private readonly chunks: Buffer[] = [];
  onDrained: () => void = () => {};

  constructor(peer: Peer, protocol: string) {
    this.peer = peer;
    this.protocol = protocol;
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  receive(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    const text = chunk.subarray(0, 100).toString("latin1");
    if (text.includes("BREACH")) {
      this.write("you broke the rules\n");
      throw new ProtocolError("Breach of the protocol");
    }
    if (text.includes("CRASH")) throw new TypeError("A bug in the session");
    this.write(chunk);
    if (text.includes("BYE")) this.peer.close("said goodbye");
  }

  write(bytes: string | Buffer): void {
    const { output } = this.peer;
    const buffer = Buffer.from(bytes);
    const at = output.reserve(buffer.length);
    buffer.copy(output.buffer, at);
    output.advance(at + buffer.length);
  }

  drained(): void {
    this.drains++;
    this.onDrained();
  }

  shutdown(reason: string): void {
    this.write(`shutdown: ${reason}\n`);
    this.peer.close(reason);
  }

  closed(reason: string): void {
    this.closings.push(reason);
  }
}

/** A protocol that is recognised by its first word, and keeps the heads it was asked about. */
export function wordProtocol(word: string, subprotocols: readonly string[] = [], heads: string[] = []): Protocol {
  const magic = Buffer.from(word);
  return {
    name: word.trim().toLowerCase(),
    subprotocols,
    recognitionBytes: magic.length,
    recognizes: (head) => {
      heads.push(Buffer.from(head).toString());
      const length = Math.min(head.length, magic.length);
      if (!magic.subarray(0, length).equals(head.subarray(0, length))) return false;
      return length === magic.length ? true : undefined;
    },
    accept: () => {
      throw new Error("The tests make sessions themselves");
    },
  };
}

/** A listener on a free port with everything it did. */
export interface TestListener extends AsyncDisposable {
  readonly listener: Listener;
  readonly port: number;
  readonly log: TestLog;
  readonly sessions: EchoSession[];
  /** First bytes that ECHO was asked about. */
  readonly heads: string[];
}

/** Starts a listener that speaks ECHO and EVEN, which have their first letter in common. */
export async function startListener(
  options: Partial<ListenerOptions> & { clock?: Clock; settings?: Partial<NetworkSettings> } = {},
): Promise<TestListener> {
  const log = new TestLog();
  const sessions: EchoSession[] = [];
  const heads: string[] = [];
  const network = new Network(options.clock ?? realClock, log, {
    outputHighWaterBytes: 256 * 1024,
    outputLowWaterBytes: 64 * 1024,
    closeTimeoutMs: 1_000,
    detectionTimeoutMs: 5_000,
    ...options.settings,
  });
  const listener = new Listener(network, {
    name: "test",
    host: "127.0.0.1",
    port: 0,
    protocols: [wordProtocol("ECHO\n", ["v2.echo", "v1.echo"], heads), wordProtocol("EVEN\n", ["even"])],
    maxConnections: 100,
    connectRate: 0,
    webSocket: { origins: [], maxMessageBytes: 1024 * 1024 },
    accept: (protocol, peer) => {
      const session = new EchoSession(peer, protocol.name);
      sessions.push(session);
      return session;
    },
    ...options,
  });
  const { port } = await listener.listen();
  return {
    listener,
    port,
    log,
    sessions,
    heads,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const connection of listener.connections) connection.destroy("the test is over");
      await listener.shutdown("the test is over", 0);
    },
  };
}
