/*
 * Login by the users of the configuration, and as guest.
 *
 *     no credentials, or the guest's -> guest, if open to where the peer is
 *     others -> seen within the last minute? -> being checked at this moment? -> a queue -> scrypt, two at a time
 *
 * A check costs about 50 ms on purpose. When thousands of clients come back at once with the same credentials, they share
 * one check. What is remembered is an HMAC under a key of this process, never a password. SCRAM costs nothing like that
 * and does not queue.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { BlockList, isIP } from "node:net";
import type { Login } from "../../core/access/access.ts";
import type { Authenticator, Credentials, Exchange } from "../../core/broker.ts";
import type { Clock } from "../../core/time/clock.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Peer } from "../../core/protocol.ts";
import type { Config } from "../config/schema.ts";
import { type PasswordHash, parsePasswordHash, unknowablePassword, verifyPassword } from "./password.ts";
import { SCRAM_SHA_256, type ScramAccount, ScramExchange, scramRefusal } from "./scram.ts";
import { ScramUsers } from "./scram-users.ts";

const MOST_AT_A_TIME = 2;
const MOST_WAITING = 256;
const REMEMBERED_MS = 60_000;
const MOST_REMEMBERED = 10_000;

const SECRET_BYTES = 32;

const REFUSED = "The user name or the password is not accepted";
const BUSY = "Too many logins are being checked; try again in a moment";

interface User {
  readonly hash: PasswordHash | undefined;
  /** An HMAC of the password, where the configuration has the password itself. */
  readonly mac: Buffer | undefined;
  readonly groups: readonly string[];
}

/** Everything that is from one state of the configuration and must not outlive it. */
interface Accounts {
  readonly users: ReadonlyMap<string, User>;
  readonly guest: Config["security"]["guest"];
  readonly key: Buffer;
  readonly nobody: PasswordHash;
  /** By HMAC of the credentials: until when they need not be checked again. */
  readonly remembered: Map<string, number>;
  readonly checking: Map<string, Promise<boolean>>;
  readonly scram: ScramUsers;
}

/** Checks credentials against the users and the guest of the configuration. */
export class ConfiguredLogin implements Authenticator {
  readonly mechanisms: readonly string[] = [SCRAM_SHA_256];
  /** Makes the salts of names that have none; to be the same after a restart, as those of real users are. */
  secret: Buffer = randomBytes(SECRET_BYTES);
  private readonly clock: Clock;
  private accounts: Accounts;
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(security: Config["security"], clock: Clock) {
    this.clock = clock;
    this.accounts = accountsOf(security);
  }

  /** Takes over a new configuration and forgets all logins remembered under the old one. */
  reload(security: Config["security"]): void {
    this.accounts = accountsOf(security);
  }

  async login(credentials: Credentials): Promise<Login> {
    const { accounts } = this;
    const { user = "", password = "" } = credentials;
    if (user === "" && password === "") return guestLogin(accounts, credentials.peer);
    const known = accounts.users.get(user);
    const { guest } = accounts;
    if (known === undefined && guest.enabled && user === guest.name) {
      const given = mac(accounts, "password", password);
      if (timingSafeEqual(given, mac(accounts, "password", guest.password))) {
        return guestLogin(accounts, credentials.peer);
      }
    }
    const right = await this.check(accounts, user, password);
    // The configuration may have changed meanwhile: who was put out must not slip in.
    if (accounts !== this.accounts) return this.login(credentials);
    if (!right || known === undefined) throw refusal(REFUSED);
    return { user, groups: known.groups };
  }

  begin(mechanism: string, peer: Peer): Exchange {
    if (mechanism !== SCRAM_SHA_256) {
      throw refusal(`The mechanism ${mechanism} is not known; expected ${SCRAM_SHA_256}`);
    }
    return new ScramExchange((user) => this.scramAccount(user, peer));
  }

  private async scramAccount(user: string, peer: Peer): Promise<ScramAccount> {
    const { accounts } = this;
    const keys = await accounts.scram.keysOf(user, this.secret);
    const login = (): Login => {
      if (accounts !== this.accounts) throw refusal("The configuration of users changed meanwhile; log in again");
      if (!accounts.scram.has(user)) throw scramRefusal();
      const known = accounts.users.get(user);
      return known === undefined ? guestLogin(accounts, peer) : { user, groups: known.groups };
    };
    return { keys, login };
  }

  private check(accounts: Accounts, user: string, password: string): Promise<boolean> {
    const key = mac(accounts, user, password).toString("base64");
    const until = accounts.remembered.get(key);
    if (until !== undefined && until > this.clock.now()) return Promise.resolve(true);
    const others = accounts.checking.get(key);
    if (others !== undefined) return others;
    const check = this.checkSlowly(accounts, user, password)
      .then((right) => {
        if (right) this.remember(accounts, key);
        return right;
      })
      .finally(() => accounts.checking.delete(key));
    accounts.checking.set(key, check);
    return check;
  }

  private async checkSlowly(accounts: Accounts, name: string, password: string): Promise<boolean> {
    const user = accounts.users.get(name);
    await this.takeTurn();
    try {
      // Whoever it is, one scrypt runs: the time a refusal takes does not tell which users there are.
      const matches = await verifyPassword(password, user?.hash ?? accounts.nobody);
      if (user?.mac !== undefined) return timingSafeEqual(mac(accounts, "password", password), user.mac);
      return matches;
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }

  private async takeTurn(): Promise<void> {
    if (this.running >= MOST_AT_A_TIME) {
      if (this.waiting.length >= MOST_WAITING) throw refusal(BUSY);
      await new Promise<void>((resolve) => {
        this.waiting.push(() => {
          this.running++;
          resolve();
        });
      });
    } else {
      this.running++;
    }
  }

  private remember(accounts: Accounts, key: string): void {
    const { remembered } = accounts;
    remembered.delete(key);
    remembered.set(key, this.clock.now() + REMEMBERED_MS);
    for (const oldest of remembered.keys()) {
      if (remembered.size <= MOST_REMEMBERED) break;
      remembered.delete(oldest);
    }
  }
}

function accountsOf(security: Config["security"]): Accounts {
  const accounts = {
    guest: security.guest,
    key: randomBytes(32),
    nobody: unknowablePassword(),
    remembered: new Map<string, number>(),
    checking: new Map<string, Promise<boolean>>(),
    scram: new ScramUsers(security),
  };
  const users = new Map<string, User>();
  for (const [name, { password, password_hash: text, groups }] of Object.entries(security.users)) {
    const hash = text === undefined ? undefined : parsePasswordHash(text);
    users.set(name, { hash, mac: password === undefined ? undefined : mac(accounts, "password", password), groups });
  }
  return { ...accounts, users };
}

function mac(accounts: { readonly key: Buffer }, name: string, password: string): Buffer {
  return createHmac("sha256", accounts.key)
    .update(`${name.length}:${name}:${password.normalize("NFC")}`)
    .digest();
}

function guestLogin({ guest }: Accounts, peer: Peer): Login {
  if (!guest.enabled) {
    throw refusal("No user name and password were given, and guests are not let in (security.guest.enabled is false)");
  }
  if (guest.loopback_only && !isLoopback(peer.remoteAddress)) {
    throw refusal(
      "Guests are let in from the broker's own machine only: log in as a user (security.users), " +
        "or set security.guest.loopback_only to false",
    );
  }
  return { user: guest.name, groups: [] };
}

function refusal(text: string): BrokerError {
  return new BrokerError("not-authenticated", text);
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether a peer's address, with or without its port, is of this machine: IPv4, IPv6 or IPv4 mapped into IPv6. */
export function isLoopback(remoteAddress: string): boolean {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(remoteAddress)?.[1];
  const whole = bracketed ?? remoteAddress;
  // Asking whether it is an address of IPv6 takes long, and one with a single colon is none.
  const hasPort = whole.indexOf(":") === whole.lastIndexOf(":") || isIP(whole) === 0;
  const address = hasPort ? whole.replace(/:\d+$/, "") : whole;
  // A zone, as in fe80::1%eth0, is never of the loopback, and a block list does not know it.
  const family = address.includes("%") ? 0 : isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 4 ? "ipv4" : "ipv6");
}
