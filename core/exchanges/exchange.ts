import type { DeclaredArguments } from "../queue/queue-declaration.ts";
import type { PropertyValue } from "../message.ts";

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
}

/** What a client says that is to lead on from an exchange. */
export interface BindingDeclaration {
  /** The name of the exchange it leads on from. */
  readonly source: string;
  readonly key: string;
  /** For an exchange of the type headers: `x-match`, and what is to be found. Two bindings that differ in them are two. */
  readonly arguments: ReadonlyMap<string, PropertyValue>;
}
