import type { Action, ResourceKind } from "../../../core/access/access.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { silentPeer, parse, parsePattern, Collector } from "../../support/core-broker.ts";
import { exchange } from "../../support/core-exchanges.ts";
import type { Client } from "../../../core/client.ts";
import type { Wire } from "../../support/wire.ts";

/** Somebody who tries something, and how they come. */
export interface Who {
  readonly user: string;
  readonly clientId: string;
  /** As a proxy says it: from 10.0.0.7. With a certificate: as the pump. */
  readonly by: "plain" | "proxy" | "certificate" | "second listener";
}

/** One attempt, at things whose names nobody has used before. */
export interface Attempt {
  readonly who: Who;
  readonly host: VirtualHost;
  /** Levels of the name; see `Operation.name`. */
  readonly token: string;
  readonly leaf: string;
  readonly name: string;
  /** Where management is. */
  readonly url: string;
  /** A connection by the way of `who`. */
  readonly dial: () => Promise<Wire>;
}

/** Something that takes a right, in one protocol. */
export interface Operation {
  readonly what: string;
  readonly action: Action;
  readonly kind: ResourceKind;
  /** The name of what it is done to, as rules have it; of levels that rules can have wildcards for. */
  readonly name: (token: string, leaf: string) => string;
  /** It is always done to the same thing. */
  readonly fixed?: boolean;
  /** The client's id is a part of the name. */
  readonly byClientId?: boolean;
  /** Makes what must be there, without any rules. */
  readonly prepare?: (client: Client, name: string) => void;
  /** Tries it: undefined if it was done; the text or the code of the refusal, in the protocol's own words. */
  readonly attempt: (attempt: Attempt) => Promise<string | undefined>;
}

/** A protocol in this test. */
export interface Speaker {
  readonly protocol: string;
  readonly operations: readonly Operation[];
}

/** Rules are about names between dots, unless another one is said. */
export function dotted(token: string, leaf: string): string {
  return `${token}.${leaf}`;
}

/** What a refusal says, wherever there is room for a text. */
export const REFUSAL = /User \w+ may not .*: (access_rules\[\d+\] denies it|no access rule allows it)/;

/** A client of the core that may do everything, while there are no rules. */
export function root(host: VirtualHost): Client {
  const listener = { confirmed: () => {}, unblocked: () => {}, evicted: () => {} };
  return host.connect({ peer: silentPeer(), login: { user: "root", groups: [] }, protocol: "test", listener });
}

export function makeQueue(client: Client, name: string): void {
  const flags = { durable: false, exclusive: false, autoDelete: false, expiresMs: 0, arguments: new Map() };
  client.declareQueue({ address: parse(`queue:${name}`), ...flags, policy: {} });
}

export function makeTopic(client: Client, name: string): void {
  client.route([parse(`topic:${name}`)]);
}

export function makeExchange(client: Client, name: string): void {
  client.declareExchange(exchange(name, "fanout"));
}

export function makeDurable(client: Client, name: string): void {
  const subscription = client.subscribe({
    patterns: [parsePattern("topic:kept")],
    durable: name,
    settling: true,
    credit: { messages: 0, bytes: 0 },
    consumer: new Collector(),
  });
  subscription.close();
}
