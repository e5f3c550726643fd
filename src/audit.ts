/*
 * Who did what.
 *
 *     event -> repeats (the same refusal or login at most N times a minute, the rest counted;  -> the last ones, in memory
 *              of one address so many different refusals)                                      -> the log, or a file
 *
 * Logins have room of their own in memory: a fleet of devices that comes back must not put out what was deleted and by whom.
 */
import type { AuditEvent, AuditTrail } from "../core/audit.ts";
import type { Clock, Timer } from "../core/time/clock.ts";
import { AuditFile } from "./audit-file.ts";
import type { Config } from "./config/schema.ts";
import type { Log } from "./log.ts";
import { siteOf } from "./security/addresses.ts";

/** An event as it is kept and written. */
export interface AuditEntry extends AuditEvent {
  /** Greater than that of every earlier one; begins anew with the process. */
  readonly id: number;
  /** How often it happened besides what was written down one by one. */
  readonly times?: number;
}

/** Settings of an audit log that it could take over. */
export interface PreparedAudit {
  readonly take: () => void;
  readonly leave: () => void;
}

const MINUTE_MS = 60_000;
/** Different refusals and logins counted at a time; names that peers make up must not grow this without end. */
const MOST_COUNTED = 1000;
/** Different refusals of one kind, of one address and in a minute; who makes up names must not put out what is in the files. */
const MOST_REFUSALS = 100;
/** What peers send goes into texts; no line gets longer for it than this. */
const MOST_CHARACTERS = 1000;

interface Repeats {
  readonly until: number;
  last: AuditEvent;
  written: number;
  withheld: number;
}

/** The audit log of one broker; its settings can be changed while it runs. */
export class Audit implements AuditTrail {
  readonly #clock: Clock;
  readonly #log: Log;
  #settings: Config["audit"];
  #file: AuditFile | undefined;
  #nextId = 1;
  readonly #logins: AuditEntry[] = [];
  readonly #others: AuditEntry[] = [];
  readonly #repeats = new Map<string, Repeats>();
  #timer: Timer | undefined = undefined;

  /** Throws when the file cannot be written. */
  constructor(settings: Config["audit"], clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.#settings = settings;
    this.#file = this.#open(settings);
  }

  record(event: AuditEvent): void {
    const isLogin = event.action === "login";
    if (isLogin && event.result === "ok" && this.#settings.logins === "refused") return;
    // Changes are never left out.
    if ((isLogin || event.result === "refused") && !this.#admits(event)) return;
    this.#write(event, undefined);
  }

  /** The last ones, the newest first. */
  recent(): AuditEntry[] {
    return [...this.#logins, ...this.#others].sort((a, b) => b.id - a.id);
  }

  /**
   * Gets ready for new settings, which count when they are taken. The file is opened anew also where it is the same one: another
   * program may have renamed it, to begin another. Throws, and changes nothing, when it cannot be written.
   */
  prepare(settings: Config["audit"]): PreparedAudit {
    const opened = this.#open(settings);
    return {
      take: () => {
        this.#file?.close();
        this.#file = opened;
        this.#settings = settings;
        for (const kept of [this.#logins, this.#others]) kept.splice(0, kept.length - settings.kept);
      },
      leave: () => opened?.close(),
    };
  }

  /** Writes what is left and closes the file; what comes later is kept in memory only. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const [key, repeats] of this.#repeats) this.#tell(key, repeats);
    this.#file?.close();
    this.#file = undefined;
  }

  #open({ to, file, max_file_bytes: maxBytes, max_files: maxFiles }: Config["audit"]): AuditFile | undefined {
    if (to !== "file") return undefined;
    return new AuditFile({ path: file, maxBytes, maxFiles, clock: this.#clock, log: this.#log });
  }

  #write(event: AuditEvent, times: number | undefined): void {
    const entry: AuditEntry = {
      id: this.#nextId++,
      at: event.at,
      user: shortened(event.user),
      address: event.address,
      action: event.action,
      resource: shortened(event.resource) ?? "",
      result: event.result,
      ...(event.detail === undefined ? {} : { detail: shortened(event.detail) ?? "" }),
      ...(times === undefined ? {} : { times }),
    };
    const isLogin = entry.action === "login";
    const kept = isLogin ? this.#logins : this.#others;
    kept.push(entry);
    if (kept.length > this.#settings.kept) kept.shift();
    if (this.#file !== undefined) {
      this.#file.append({ ...entry, at: new Date(entry.at).toISOString() });
    } else if (this.#settings.to === "log") {
      // The log counts what repeats by this name: all logins together, anything else only when it is the same.
      const about = isLogin ? "" : ` ${entry.user ?? ""} ${entry.resource}`;
      this.#log.info({ ...entry, event: `audit ${entry.action} ${entry.result}${about}` }, "audit");
    }
  }

  #admits(event: AuditEvent): boolean {
    const { user = "", address, action, resource, result } = event;
    const site = siteOf(address);
    const { repeats_per_minute: most } = this.#settings;
    if (!this.#count(JSON.stringify([action, result, shortened(user), site, shortened(resource)]), event, most))
      return false;
    if (result !== "refused") return true;
    const various = { ...event, user: undefined, resource: "", detail: "various ones from this address" };
    return this.#count(JSON.stringify([action, site]), various, Math.max(most, MOST_REFUSALS));
  }

  /** Whether there were no more than so many like it in this minute. */
  #count(key: string, event: AuditEvent, most: number): boolean {
    const now = this.#clock.now();
    let repeats = this.#repeats.get(key);
    if (repeats !== undefined && isOver(repeats, now)) {
      this.#tell(key, repeats);
      repeats = undefined;
    }
    if (repeats === undefined) {
      repeats = { until: now + MINUTE_MS, last: event, written: 0, withheld: 0 };
      this.#repeats.set(key, repeats);
      const [oldest] = this.#repeats;
      if (this.#repeats.size > MOST_COUNTED && oldest !== undefined) this.#tell(...oldest);
      this.#timer ??= this.#clock.after(MINUTE_MS, () => this.#sweep());
    }
    repeats.last = event;
    if (repeats.written >= most) {
      repeats.withheld++;
      return false;
    }
    repeats.written++;
    return true;
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (const [key, repeats] of this.#repeats) if (isOver(repeats, now)) this.#tell(key, repeats);
    if (this.#repeats.size > 0) this.#timer = this.#clock.after(MINUTE_MS, () => this.#sweep());
  }

  #tell(key: string, { last, withheld }: Repeats): void {
    this.#repeats.delete(key);
    if (withheld > 0) this.#write(last, withheld);
  }
}

/** Also when the machine's clock was put back. */
function isOver({ until }: Repeats, now: number): boolean {
  return until <= now || until > now + MINUTE_MS;
}

function shortened(text: string | undefined): string | undefined {
  return text === undefined || text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}...`;
}
