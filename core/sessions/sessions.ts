import type { Permissions, Subject } from "../access/access.ts";
import type { Client } from "../client.ts";
import { Deadlines } from "../time/deadlines.ts";
import type { DurableSubscriptions } from "../topic/durable-subscriptions.ts";
import { BrokerError } from "../errors.ts";
import type { Interest } from "./interests.ts";
import { ORDINARY } from "../queue/queue-description.ts";
import { HostSession, type SessionConsumers, type SessionContext } from "./session.ts";
import type { SessionRecord } from "./session-records.ts";
import { SessionState } from "./session-state.ts";
import type { Wills } from "./wills.ts";

/** Bytes of a session's id: it is a part of the names of its records. */
const MAX_ID_BYTES = 512;

/** A session's part in something shared. */
interface SharedInterest {
  readonly group: string;
  readonly interest: Interest;
}

/** How a client asks for its session. */
export interface SessionOptions extends SessionConsumers {
  /** Unique in the virtual host, such as `mqtt/sensor-7`. */
  readonly id: string;
  /** Begins anew, whatever there was. */
  readonly clean: boolean;
  /** How long it outlives its connection: 0 not at all, Infinity for ever. */
  readonly expiryMs: number;
}

/** A session as management sees it. */
export interface SessionInfo {
  readonly id: string;
  readonly user: string | undefined;
  readonly connected: boolean;
  /** Since when it is connected, or is not: milliseconds since 1970. */
  readonly since: number;
  readonly expiryMs: number;
  readonly interests: readonly Interest[];
  readonly shared: readonly SharedInterest[];
  /** Messages that wait for it, or wait for it to settle them; those of shares and queues are not its own. */
  readonly messages: number;
  readonly bytes: number;
}

/** What sessions of one virtual host are made with. */
export interface SessionsOptions extends Omit<SessionContext, "disconnected"> {
  readonly hostName: string;
  readonly durables: DurableSubscriptions;
  readonly wills: Wills;
  /** Throws BrokerError when no further destination may be made. */
  checkRoom(): void;
  /** What a subject may do. */
  permissions(subject: Subject): Permissions;
}

/** The sessions of one virtual host: of each id there is one, and one connection has it at a time. */
export class Sessions {
  /** Sessions that ended because nobody came back in time. */
  expired = 0;
  private readonly options: SessionsOptions;
  private readonly context: SessionContext;
  private readonly byId = new Map<string, SessionState>();
  private readonly ends: Deadlines;

  constructor(options: SessionsOptions) {
    this.options = options;
    this.context = { ...options, disconnected: (state) => this.disconnected(state) };
    this.ends = new Deadlines(options.engine.clock, (id) => {
      const state = this.byId.get(id);
      if (state === undefined) return;
      this.expired++;
      this.end(state);
    });
  }

  get count(): number {
    return this.byId.size;
  }

  /**
   * Opens the session of a client; `present` tells whether there was one, which goes on. Whoever has it now is told and
   * closed before this returns. Throws BrokerError when the client may not have it: then nothing has changed.
   */
  open(client: Client, options: SessionOptions): { session: HostSession; present: boolean } {
    const { id, clean, expiryMs } = options;
    this.check(client, options);
    const { engine } = this.options;
    const { writes } = engine;
    const holder = this.byId.get(id)?.connection?.client;
    if (holder !== undefined) {
      holder.evict(
        `the session ${id} was opened by another connection, from ${client.peer.remoteAddress}`,
        "taken-over",
      );
      holder.close();
    }
    // It may have ended with its connection.
    const before = this.byId.get(id);
    if (before !== undefined && clean) this.end(before);
    const there = clean ? undefined : before;
    const state = there ?? this.create(client, id, expiryMs);
    state.expiryMs = expiryMs;
    this.ends.delete(id);
    this.options.wills.cancel(id);
    const session = new HostSession(this.context, state, client, options);
    client.session = session;
    if (engine.writes !== writes) client.touch();
    return { session, present: there !== undefined };
  }

  /** All of them, connected or not, by id. */
  get all(): ReadonlyMap<string, SessionState> {
    return this.byId;
  }

  /** The same, with what there is to know of each. */
  *list(): Iterable<SessionInfo> {
    for (const state of this.byId.values()) {
      const queue = state.durable?.queue;
      const feed = state.connection?.subscription.feed;
      yield {
        id: state.id,
        user: state.user,
        connected: state.connection !== undefined,
        since: state.since,
        expiryMs: state.expiryMs,
        interests: [...state.interests.all()],
        shared: sharedBy(state),
        messages: queue?.count ?? feed?.stored ?? 0,
        bytes: queue?.bytes ?? feed?.pendingBytes ?? 0,
      };
    }
  }

  /** Ends a session for an operator; its client is told and closed. False when there is none of this id. */
  remove(id: string): boolean {
    const state = this.byId.get(id);
    if (state === undefined) return false;
    const client = state.connection?.client;
    client?.evict(`the session ${id} was removed by an operator`, "administrative");
    client?.close();
    if (this.byId.get(id) === state) this.end(state);
    return true;
  }

  /** How long a session that is not connected still has, in milliseconds; 0 if there is none. */
  leftMs(id: string): number {
    const state = this.byId.get(id);
    if (state === undefined) return 0;
    return Math.max(0, state.since + state.expiryMs - this.options.engine.clock.now());
  }

  /** Takes over what the store has, once its queues are there. Who was connected when the broker ended is not any more. */
  recover(): void {
    const { records, durables, shares } = this.options;
    for (const [id, record] of Array.from(records.sessions())) this.recoverSession(id, record);
    for (const { id, interest, group } of Array.from(records.interests())) {
      const state = this.byId.get(id);
      if (state === undefined) records.removeInterest(id, interest.pattern, group);
      else if (group !== undefined) state.shares.set(...this.recoverShare(state, group, interest));
      else this.recoverInterest(state, interest);
    }
    for (const durable of Array.from(durables.byId.values())) {
      const known = durable.kind === "session" ? this.byId.has(durable.id) : shares.byId.has(durable.id);
      if (durable.kind !== "durable" && !known) durables.delete(durable);
    }
    for (const state of Array.from(this.byId.values())) {
      if (state.expiryMs === 0) this.end(state);
      else this.ends.set(state.id, state.since + state.expiryMs);
    }
  }

  /** Ends none of them any more. */
  close(): void {
    this.ends.clear();
  }

  private check(client: Client, { id, clean, expiryMs }: SessionOptions): void {
    if (client.closed) throw new BrokerError("bad-request", `The connection ${client.id} has ended`);
    if (client.session !== undefined) {
      throw new BrokerError("bad-request", `The connection has the session ${client.session.id}; it cannot have two`);
    }
    const bytes = Buffer.byteLength(id);
    if (bytes === 0 || bytes > MAX_ID_BYTES || id.includes("\0")) {
      throw new BrokerError(
        "bad-request",
        `The id of the session has ${bytes} bytes; expected are 1 to ${MAX_ID_BYTES}, and no NUL`,
      );
    }
    const there = this.byId.get(id);
    // Its messages are for nobody else.
    if (there?.user !== undefined && there.user !== client.user) {
      throw new BrokerError(
        "not-authorized",
        `The session ${id} belongs to another user than ${client.user ?? "(none)"}`,
      );
    }
    const goesOn = there?.kept === true && !clean;
    if (!goesOn && expiryMs === 0) return;
    this.options.checkUse(client, id, !goesOn);
    if (goesOn) return;
    const named = this.options.durables.byId.get(id);
    if (named !== undefined && named.kind !== "session") {
      throw new BrokerError("conflict", `There is a durable subscription ${id}, whose name the session would have`);
    }
    if (there?.kept !== true) this.options.checkRoom();
  }

  private create(client: Client, id: string, expiryMs: number): SessionState {
    const since = this.options.engine.clock.now();
    const durable = expiryMs === 0 ? undefined : this.durable(id);
    const state = new SessionState({ id, user: client.user, expiryMs, since, durable });
    state.entries = new Map();
    this.byId.set(id, state);
    return state;
  }

  private durable(id: string) {
    const { durables, hostName: host } = this.options;
    const filter = { patterns: [], selector: undefined };
    return durables.byId.get(id) ?? durables.make(id, { kind: "session", host, priority: ORDINARY, id }, filter);
  }

  private disconnected(state: SessionState): void {
    const { id, user, expiryMs, doubtfulTo, permissions } = state;
    if (!state.kept || expiryMs === 0) {
      this.end(state);
      return;
    }
    state.since = this.options.engine.clock.now();
    const { subject } = permissions ?? {};
    this.options.records.put(id, { user, expiryMs, since: state.since, doubtfulTo, subject, connected: false });
    this.ends.set(id, state.since + expiryMs);
  }

  /** The session is gone for good; it is not connected. */
  private end(state: SessionState): void {
    const { durables, records, shares, wills } = this.options;
    this.byId.delete(state.id);
    this.ends.delete(state.id);
    for (const share of state.shares.values()) shares.leave(state, share);
    if (state.durable !== undefined) {
      durables.delete(state.durable);
      records.remove(state.id);
    }
    wills.release(state.id);
  }

  private recoverSession(id: string, record: SessionRecord): void {
    const now = this.options.engine.clock.now();
    const since = record.connected ? now : record.since;
    const { user, expiryMs, subject } = record;
    const durable = this.durable(id);
    const { lastSequence } = durable.queue;
    // Who was connected may have been given all there is.
    const doubtfulTo = record.connected ? lastSequence : Math.min(record.doubtfulTo, lastSequence);
    if (record.connected)
      this.options.records.put(id, { user, expiryMs, since, doubtfulTo, subject, connected: false });
    const state = new SessionState({ id, user, expiryMs, since, durable });
    if (subject !== undefined) state.permissions = this.options.permissions(subject);
    state.doubtfulTo = doubtfulTo;
    this.byId.set(id, state);
  }

  private recoverInterest(state: SessionState, interest: Interest): void {
    const { pattern } = interest;
    state.interests.set(interest);
    if (pattern.kind !== "topic" || state.durable === undefined) return;
    state.topicPatterns?.push(pattern);
    this.options.destinations.topicBindings.bind(state.durable, [pattern]);
  }

  private recoverShare(state: SessionState, group: string, interest: Interest) {
    const share = this.options.shares.join(state, group, interest);
    return [share.id, share] as const;
  }
}

function sharedBy(state: SessionState): SharedInterest[] {
  const found: SharedInterest[] = [];
  for (const { group, members } of state.shares.values()) {
    const interest = members.get(state);
    if (interest !== undefined) found.push({ group, interest });
  }
  return found;
}
