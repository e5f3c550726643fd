/*
 * What every file of routes is given. A file of routes is one function
 *
 *     export function queueRoutes(app: ManagementApp, context: ManagementContext): void
 *
 * named in server.ts. Each route says in `config.right` what it takes to use it, and has a schema for what it takes in and
 * what it gives back: checks, types and the OpenAPI document come from there.
 */
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from "fastify";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Static, TSchema } from "typebox";
import type { Login } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Audit } from "../audit.ts";
import type { Certificates } from "../config/certificates.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { Limits } from "../net/limits.ts";
import type { Listener } from "../net/listener.ts";
import type { ManagedAccounts } from "../security/managed-accounts.ts";
import type { Health } from "../metrics/health.ts";
import type { HostLooks } from "../metrics/host-looks.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Resources } from "../metrics/resources.ts";
import type { HttpPeer } from "./http-peer.ts";
import type { Problem } from "./problem.ts";
import type { Right } from "./rights.ts";

/** What came of reading the configuration again. */
export type Reloaded =
  | { readonly ok: true; readonly applied: readonly string[]; readonly needsRestart: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** What a configuration says, and what would come of taking it over. */
export type Planned =
  | (Extract<LoadedConfig, { ok: true }> & {
      readonly applied: readonly string[];
      readonly needsRestart: readonly string[];
    })
  | Extract<LoadedConfig, { ok: false }>;

/** What routes know and may use. */
export interface ManagementContext {
  readonly broker: Broker;
  /** As it is now, with the accounts that are managed while the broker runs. */
  readonly config: () => Config;
  readonly accounts: ManagedAccounts;
  /** To be called after a user, or (undefined) a key was changed: logins know of it, and sessions of the user end. */
  readonly accountChanged: (user: string | undefined) => void;
  /** To be called for logins that management answers for; `now` tells what one would be, undefined for none any more. */
  readonly vouch: (login: Login, now: () => Login | undefined) => void;
  /** In which groups a user would be that is in these, with those that files give to the name. */
  readonly groupsOf: (user: string, groups: readonly string[]) => readonly string[];
  readonly listeners: () => readonly Listener[];
  readonly limits: Limits;
  /** What its ports speak TLS with. */
  readonly certificates: () => Certificates;
  readonly log: Log;
  readonly audit: Audit;
  readonly clock: Clock;
  /** Whether it lives and is ready. */
  readonly health: Health;
  readonly metrics: Metrics;
  /** What virtual hosts have done. */
  readonly looks: HostLooks;
  /** How much memory and disk there is. */
  readonly resources: Resources;
  /** Reads the configuration again, as SIGHUP has it done. */
  readonly reload: () => Promise<Reloaded>;
  /**
   * What the configuration would be if it were read now, and what would change: with a text, as if its file held that.
   * Undefined for a broker that was not started from a configuration.
   */
  readonly plan: (text: string | undefined) => Planned | undefined;
}

/** Who makes a request. */
export interface Caller {
  readonly login: Login;
  /** How it has shown who it is. */
  readonly by: "password" | "token" | "key" | "session";
  readonly peer: HttpPeer;
}

/** Types of what requests hold, from the schemas of their routes. */
interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
  readonly serializer: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
}

/** Where routes are added to. */
export type ManagementApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  SchemaTypes
>;

/** Who makes a request to a route that needs a login. */
export function callerOf({ caller }: { readonly caller: Caller | undefined }): Caller {
  if (caller !== undefined) return caller;
  throw new BrokerError("not-authenticated", "This needs a login");
}

/** The virtual host of a route that has `{host}` in its path. Throws BrokerError. */
export function hostOf({ broker }: ManagementContext, name: string): VirtualHost {
  const host = broker.hosts.get(name);
  if (host !== undefined) return host;
  throw new BrokerError("not-found", `There is no virtual host ${name} (hosts)`);
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** What it takes to use this route. */
    right?: Right;
    /** Whether it shows what messages say: that stays in no cache. */
    bodies?: true;
    /** What the audit log calls it; only of routes that change something. */
    audit?: string;
  }
  interface FastifyRequest {
    /** Undefined on routes that anybody may use. */
    caller: Caller | undefined;
    /** What it was told instead of what it wanted. */
    failure: Problem | undefined;
  }
}
