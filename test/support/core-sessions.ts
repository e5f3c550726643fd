import type { Login } from "../../core/access/access.ts";
import type { Interest, Quality } from "../../core/sessions/interests.ts";
import type { EvictionCause } from "../../core/protocol.ts";
import type { RetainedHandling } from "../../core/topic/retained-offer.ts";
import type { HostSession } from "../../core/sessions/session.ts";
import { Share } from "../../core/sessions/share.ts";
import type { Sessions } from "../../core/sessions/sessions.ts";
import type { Will } from "../../core/sessions/wills.ts";
import type { Message } from "../../core/message.ts";
import {
  Collector,
  type CoreBroker,
  coreBroker,
  parse,
  parsePattern,
  plainMessage,
  TestClient,
} from "./core-broker.ts";

/** An interest in a pattern such as `topic:a.*`. */
export function interest(pattern: string, options: Partial<Interest> = {}): Interest {
  return {
    pattern: parsePattern(pattern),
    quality: 1,
    noLocal: false,
    retainAsPublished: false,
    tag: 0,
    ...options,
  };
}

/** A consumer that settles what is durable, unless its quality is 0. */
export class SessionCollector extends Collector {
  quality: (message: Message) => Quality = () => 1;

  settles(message: Message): boolean {
    return message.durable && this.quality(message) > 0;
  }
}

/** A connection with a session, and what it was given. */
export class SessionClient extends TestClient {
  evictedAs: EvictionCause | undefined = undefined;
  readonly got = new SessionCollector();
  readonly gotShared = new SessionCollector();
  /** In the order of its shares. */
  readonly shares: Share[] = [];
  private opened: { session: HostSession; present: boolean } | undefined = undefined;

  get session(): HostSession {
    if (this.opened === undefined) throw new Error("The session is not open");
    return this.opened.session;
  }

  get present(): boolean {
    return this.opened?.present === true;
  }

  override evicted(reason: string, cause?: EvictionCause): void {
    super.evicted(reason);
    this.evictedAs = cause;
  }

  open(sessions: Sessions, options: { id: string; clean: boolean; expiryMs: number; graceMs?: number }): this {
    this.got.quality = (message) => this.opened?.session.interests.grantOf(message.address)?.quality ?? 2;
    this.opened = sessions.open(this.core, {
      ...options,
      consumer: this.got,
      sharedConsumer: (share) => {
        this.shares.push(share);
        return this.gotShared;
      },
    });
    return this;
  }

  start(): this {
    this.session.start();
    return this;
  }

  want(pattern: string, options: Partial<Interest> = {}, retained: RetainedHandling = "never"): this {
    this.session.add(interest(pattern, options), retained);
    return this;
  }

  /** Settles what it was given and has not settled. */
  acceptAll(): void {
    for (const { delivery } of this.got.taken.splice(0)) {
      if (delivery !== undefined) this.core.settle(this.session.subscription, delivery, "accepted");
    }
  }

  will(destination: string, body: string, options: Partial<Will> & { durable?: boolean } = {}): this {
    const address = parse(destination);
    const { durable = true, ...rest } = options;
    this.core.will = { address, message: plainMessage(address, body, { durable }), delayMs: 0, ...rest };
    return this;
  }
}

export function sessionsOf({ broker }: CoreBroker): Sessions {
  const host = broker.host(undefined);
  if (host === undefined) throw new Error("There is no default host");
  return host.sessions;
}

/** Connects with a session that lasts for ever unless told otherwise, and begins to receive. */
export function connect(
  core: CoreBroker,
  options: { id?: string; clean?: boolean; expiryMs?: number; login?: Login; graceMs?: number } = {},
): SessionClient {
  const { id = "s", clean = false, expiryMs = Number.POSITIVE_INFINITY, login, graceMs = 0 } = options;
  return new SessionClient(core.broker, login).open(sessionsOf(core), { id, clean, expiryMs, graceMs }).start();
}

/** Ends a broker without a word to its clients, and starts another one over its store, maybe later. */
export async function restart(core: CoreBroker, laterMs = 0): Promise<CoreBroker> {
  const { clock, store } = core;
  await core.broker.close();
  clock.advance(laterMs);
  return coreBroker({ clock, store });
}
