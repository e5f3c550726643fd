import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Login } from "../../core/access/access.ts";
import type { Clock } from "../../core/time/clock.ts";

const TOKEN_BYTES = 32;

/** How long sessions last, and how many there may be. */
export interface WebSessionLimits {
  readonly idle: number;
  readonly lifetime: number;
  readonly max: number;
}

/** Somebody who signed in with a browser. */
export interface WebSession {
  readonly login: Login;
  /** To be shown, in a header that no other site can set, by every request that changes something. */
  readonly csrf: string;
  /** Milliseconds since 1970 at which it ends, used or not. */
  readonly expiresAt: number;
}

interface Kept extends WebSession {
  usedAt: number;
}

/** The sessions of browsers. They live in memory: a restart ends them. */
export class WebSessions {
  private readonly clock: Clock;
  private readonly limits: () => WebSessionLimits;
  /** By the hash of the token, so that nothing here lets anybody in. The one used least lately comes first. */
  private readonly byHash = new Map<string, Kept>();

  constructor(clock: Clock, limits: () => WebSessionLimits) {
    this.clock = clock;
    this.limits = limits;
  }

  /** Begins a session; the token is what the browser is to keep. */
  open(login: Login): { readonly token: string; readonly session: WebSession } {
    const now = this.clock.now();
    const { lifetime, max } = this.limits();
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const csrf = randomBytes(TOKEN_BYTES).toString("base64url");
    const session = {
      login,
      csrf,
      expiresAt: Math.min(now + lifetime, login.expiresAt ?? Number.POSITIVE_INFINITY),
      usedAt: now,
    };
    this.byHash.set(hashOf(token), session);
    for (const oldest of this.byHash.keys()) {
      if (this.byHash.size <= max) break;
      this.byHash.delete(oldest);
    }
    return { token, session };
  }

  /** The session of a token, unless it is over; notes that it was used, unless a page asks with nobody at it (`idle`). */
  find(token: string, idle = false): WebSession | undefined {
    const hash = hashOf(token);
    const session = this.byHash.get(hash);
    if (session === undefined) return undefined;
    const now = this.clock.now();
    if (now >= session.expiresAt || now - session.usedAt >= this.limits().idle) {
      this.byHash.delete(hash);
      return undefined;
    }
    if (idle) return session;
    this.byHash.delete(hash);
    session.usedAt = now;
    this.byHash.set(hash, session);
    return session;
  }

  close(token: string): void {
    this.byHash.delete(hashOf(token));
  }

  /** Ends those of a user; `realm`: see `Login.realm`. */
  endOf(user: string, realm?: string): void {
    for (const [hash, { login }] of this.byHash) {
      if (login.user === user && login.realm === realm) this.byHash.delete(hash);
    }
  }

  /** Ends all of them: what they know of their users may not be true any more. */
  clear(): void {
    this.byHash.clear();
  }
}

/** Whether a request shows the token of its session. */
export function showsCsrfToken(session: WebSession, shown: string | undefined): boolean {
  const given = Buffer.from(shown ?? "");
  const expected = Buffer.from(session.csrf);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
