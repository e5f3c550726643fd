/*
 * Exchanges and bindings as they are shown, and the id by which a binding is found again: what it is made of, as JSON in
 * base64url, since bindings have no names.
 */
import { type Static, Type } from "typebox";
import { canonical } from "../../core/addresses/spelling.ts";
import { BrokerError } from "../../core/errors.ts";
import { type Binding, type BindingDeclaration, Exchange, type ExchangeType } from "../../core/exchanges/exchange.ts";
import type { PropertyValue } from "../../core/message.ts";
import type { DeclaredArguments } from "../../core/queue/queue-declaration.ts";
import { Queue } from "../../core/queue/queue.ts";
import { ledgerFields } from "./queue-fields.ts";
import { Table } from "./table.ts";

/** The types there are. */
export const EXCHANGE_TYPES: readonly ExchangeType[] = ["direct", "fanout", "topic", "headers"];

/** Arguments of declarations: a value of any other kind means nothing to the broker. */
export const Arguments = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
  maxProperties: 1000,
});

/** How exchanges are listed. */
export const EXCHANGES: Table<Exchange> = new Table<Exchange>("Exchange", "name", {
  name: { schema: Type.String({ description: "Empty for the default exchange." }), read: ({ name }) => name },
  type: {
    schema: Type.Union(EXCHANGE_TYPES.map((type) => Type.Literal(type))),
    read: ({ declaration }) => declaration.type,
  },
  durable: { schema: Type.Boolean(), read: ({ declaration }) => declaration.durable },
  auto_delete: { schema: Type.Boolean(), read: ({ declaration }) => declaration.autoDelete },
  internal: { schema: Type.Boolean(), read: ({ declaration }) => declaration.internal },
  predeclared: {
    schema: Type.Boolean({ description: "Made by the broker itself, and never deleted." }),
    read: ({ predeclared }) => predeclared,
  },
  alternate: {
    schema: Type.Union([Type.String(), Type.Null()], { description: "The exchange that gets what it leads nowhere." }),
    read: ({ declaration }) => declaration.alternate ?? null,
  },
  delayed: { schema: Type.Boolean(), read: ({ declaration }) => declaration.delayed === true },
  arguments: { schema: Arguments, read: ({ declaration }) => Object.fromEntries(declaration.arguments) },
  bindings: {
    schema: Type.Integer({ description: "Those that lead on from it." }),
    read: ({ bindings }) => bindings.size,
  },
  incoming: {
    schema: Type.Integer({ description: "Bindings of other exchanges that lead to it." }),
    read: ({ incoming }) => incoming.size,
  },
  ...ledgerFields<Exchange>(({ ledger }) => ledger),
});

/** How bindings are listed. */
export const BINDINGS: Table<Binding> = new Table<Binding>("Binding", "id", {
  id: { schema: Type.String(), read: bindingId },
  source: { schema: Type.String(), read: ({ source }) => source.name },
  key: { schema: Type.String(), read: ({ key }) => key },
  arguments: { schema: Arguments, read: ({ arguments: given }) => argumentsJson(given) },
  destination_kind: {
    schema: Type.Union(["queue", "exchange", "subscription"].map((kind) => Type.Literal(kind))),
    read: (binding) => endOf(binding).kind,
  },
  destination: {
    schema: Type.String({ description: "A canonical name; of a subscription the id of its connection." }),
    read: (binding) => endOf(binding).name,
  },
  durable: {
    schema: Type.Boolean({ description: "Whether it survives a restart of the broker." }),
    read: ({ record }) => record !== 0,
  },
  suspended: {
    schema: Type.Boolean({
      description: "It leads nowhere: who made it may not have it so any more, by the access rules.",
    }),
    read: ({ suspended }) => suspended,
  },
});

/** A binding to be made or taken back. */
export const BindingBody = Type.Object(
  {
    source: Type.String({ minLength: 1, maxLength: 255, description: "The exchange it leads on from." }),
    destination: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: "The canonical name of a queue, or an exchange.",
    }),
    destination_kind: Type.Union([Type.Literal("queue"), Type.Literal("exchange")], { default: "queue" }),
    key: Type.String({ default: "", maxLength: 255, description: "The routing key, or a pattern of those." }),
    arguments: Type.Optional(Arguments),
  },
  { additionalProperties: false, title: "NewBinding" },
);

/** What `BindingBody` describes. */
export type BindingSaid = Static<typeof BindingBody>;

/** Where a binding leads. */
export function endOf({ to, owner }: Binding): {
  readonly kind: "queue" | "exchange" | "subscription";
  readonly name: string;
} {
  if (to instanceof Exchange) return { kind: "exchange", name: to.name };
  if (owner instanceof Queue) return { kind: "queue", name: owner.address?.name ?? "" };
  return { kind: "subscription", name: owner?.subscription.client.id ?? "" };
}

/** The core's words for it. */
export function declarationOf({ source, key, arguments: given }: BindingSaid): BindingDeclaration {
  return { source, key, arguments: new Map(Object.entries(given ?? {})) };
}

/** As the core keeps arguments of declarations. */
export function argumentsOf(given: Static<typeof Arguments> | undefined): DeclaredArguments {
  return new Map(Object.entries(given ?? {}));
}

/** By what it is found again. */
function bindingId(binding: Binding): string {
  const { kind, name } = endOf(binding);
  const made = [binding.source.name, kind, name, binding.key, argumentsJson(binding.arguments)];
  return Buffer.from(JSON.stringify(made)).toString("base64url");
}

/** The binding of an id that `bindingId` has made. Throws BrokerError("not-found") for any other text. */
export function bindingOf(exchanges: { find(name: string): Exchange | undefined }, id: string): Binding {
  const made = parsed(Buffer.from(id, "base64url").toString());
  const [source, , destination, key]: unknown[] = Array.isArray(made) ? made : [];
  const bindings = typeof source === "string" ? exchanges.find(source)?.bindings.values() : undefined;
  for (const binding of bindings ?? []) {
    // There may be very many, and what is written out costs.
    if (binding.key === key && endOf(binding).name === destination && bindingId(binding) === id) return binding;
  }
  throw new BrokerError("not-found", `There is no binding ${id}; a list of bindings has their ids`);
}

/** The address of a queue that is bound. */
export function queueAddress(name: string): ReturnType<typeof canonical.parse> {
  return canonical.parse("queue", name);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Without bytes and numbers too large for JSON, which bindings rarely have. */
export function argumentsJson(given: ReadonlyMap<string, PropertyValue>): Record<string, string | number | boolean> {
  const shown: Record<string, string | number | boolean> = {};
  for (const [name, value] of given) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") shown[name] = value;
    else shown[name] = value instanceof Uint8Array ? Buffer.from(value).toString("base64") : String(value);
  }
  return shown;
}
