import type { Subject } from "../access/access.ts";
import type { Admission } from "../routing/admission.ts";
import { type BindingTable, tableFor } from "./binding-table.ts";
import { type DeclaredArguments, differentArgument } from "../queue/queue-declaration.ts";
import type { DuplicateWindow } from "../routing/duplicates.ts";
import { Ledger } from "../ledger.ts";
import type { PropertyValue } from "../message.ts";
import type { Queue } from "../queue/queue.ts";
import type { Topic, TopicTarget } from "../topic/topic.ts";
import type { TopicFeed } from "../topic/topic-feed.ts";

/** How an exchange chooses among its bindings: by the whole key, all of them, by words of the key, or by headers. */
export type ExchangeType = "direct" | "fanout" | "topic" | "headers";

/** What a client says that an exchange is to be. */
export interface ExchangeDeclaration {
  readonly name: string;
  readonly type: ExchangeType;
  /** It survives a restart of the broker. */
  readonly durable: boolean;
  /** Deleted with the last of its bindings. */
  readonly autoDelete: boolean;
  /** Fed by other exchanges only: no client publishes to it. */
  readonly internal: boolean;
  /** The exchange that gets what no binding of this one wants. */
  readonly alternate?: string | undefined;
  /** Declared as `x-delayed-message`. Messages wait for their `timing` at every exchange: this is kept for equivalence. */
  readonly delayed?: boolean;
  /** As the client wrote them, for listing. */
  readonly arguments: DeclaredArguments;
  /** Whose rights decide whether it leads on to its alternate; nobody's if absent. */
  readonly maker?: Subject | undefined;
}

/** What a client says that is to lead on from an exchange. */
export interface BindingDeclaration {
  /** The name of the exchange it leads on from. */
  readonly source: string;
  readonly key: string;
  /** For an exchange of the type headers: `x-match`, and what is to be found. Two bindings that differ in them are two. */
  readonly arguments: ReadonlyMap<string, PropertyValue>;
  /** Whose rights decide whether it leads on; nobody's if absent. */
  readonly maker?: Subject | undefined;
}

/** A binding that is there. */
export interface Binding {
  /** Of all bindings of its source this one has it. */
  readonly id: string;
  readonly source: Exchange;
  readonly key: string;
  readonly arguments: ReadonlyMap<string, PropertyValue>;
  readonly to: Exchange | TopicTarget;
  /** The queue or the subscriber it leads to, and with which it goes; undefined for one that leads to an exchange. */
  readonly owner: Queue | TopicFeed | undefined;
  /** The number of its record in the store; 0 without one. */
  record: number;
  /** See `BindingDeclaration`. */
  maker: Subject | undefined;
  /** It is known, but leads nowhere: whoever made it may not have it so any more. */
  suspended: boolean;
}

/** Where messages with one key go from an exchange: found once, then used until a binding on the way changes. */
export interface Way {
  readonly admission: Admission;
  readonly topic: Topic;
  /** Whether it leads into the topics as well. */
  readonly crosses: boolean;
}

/** An exchange: leads messages on, and keeps none. */
export class Exchange {
  readonly declaration: ExchangeDeclaration;
  /** Made by the broker itself, and never deleted. */
  readonly predeclared: boolean;
  readonly ledger = new Ledger();
  /** Those that lead on from it, by their ids. */
  readonly bindings = new Map<string, Binding>();
  /** Those of other exchanges that lead to it. */
  readonly incoming = new Set<Binding>();
  /** Finds those that lead on with a key. That of amq.topic knows other exchanges only: queues are bound to the topics. */
  readonly table: BindingTable;
  /** How many of those that lead on lead to other exchanges. */
  links = 0;
  readonly ways = new Map<string, Way>();
  /** It does not lead on to its alternate: whoever made it may not send there any more. */
  suspended = false;
  /** The ids of sends that came to it. */
  readonly ids: DuplicateWindow;

  constructor(declaration: ExchangeDeclaration, predeclared: boolean, ids: DuplicateWindow) {
    this.declaration = declaration;
    this.predeclared = predeclared;
    this.ids = ids;
    this.table = tableFor(declaration.type);
  }

  get name(): string {
    return this.declaration.name;
  }

  /** The name of the exchange that gets what none of its bindings wants. */
  get alternate(): string | undefined {
    return this.suspended ? undefined : this.declaration.alternate;
  }

  /** The first thing in which another declaration of the same name differs, in RabbitMQ's words; undefined if none does. */
  difference(wanted: ExchangeDeclaration): string | undefined {
    return differentArgument(equivalenceOf(wanted), equivalenceOf(this.declaration));
  }
}

/** What has to be the same when an exchange is declared again. */
function equivalenceOf(declaration: ExchangeDeclaration): DeclaredArguments {
  const { type, durable, autoDelete, internal, alternate, delayed = false } = declaration;
  const same = new Map<string, string | boolean>([["type", delayed ? "x-delayed-message" : type]]);
  same.set("durable", durable).set("auto_delete", autoDelete).set("internal", internal);
  if (delayed) same.set("x-delayed-type", type);
  if (alternate !== undefined) same.set("alternate-exchange", alternate);
  return same;
}
