import type { Subject } from "../access/access.ts";
import { readSubject, subjectRecord } from "../access/subject-record.ts";
import { Address } from "../addresses/address.ts";
import { BrokerError } from "../errors.ts";
import { DEFAULT_POLICY, type Policy } from "../policy.ts";

/** What a client wrote about a queue or an exchange besides its name and flags: for equivalence, and for listing. */
export type DeclaredArguments = ReadonlyMap<string, Scalar>;

type Scalar = string | number | boolean;

/** What a client says that a queue is to be. */
export interface QueueDeclaration {
  readonly address: Address;
  /** It survives a restart of the broker. */
  readonly durable: boolean;
  /** For the connection alone that declares it, and deleted with it. */
  readonly exclusive: boolean;
  /** Deleted when the last of its consumers has gone. */
  readonly autoDelete: boolean;
  /** What it says of the queue's policy, over what the configuration says. */
  readonly policy: Partial<Policy>;
  /** Milliseconds without consumers, declarations and pulls after which it is deleted with what it holds; 0 never. */
  readonly expiresMs: number;
  readonly arguments: DeclaredArguments;
  /** Whose rights decide whether its dead letters go where it says; nobody's if absent. */
  readonly maker?: Subject | undefined;
}

/** What a declaration is answered with. */
export interface QueueStatus {
  readonly address: Address;
  /** Messages that nobody holds. */
  readonly messages: number;
  readonly consumers: number;
}

/** What the store keeps of a declaration: JSON. */
export function encodeDeclaration(declaration: QueueDeclaration): Buffer {
  const { address, durable, exclusive, autoDelete, policy, expiresMs } = declaration;
  const { levels } = address;
  const given = Object.fromEntries(declaration.arguments);
  const maker = declaration.maker && subjectRecord(declaration.maker);
  const value = { levels, durable, exclusive, autoDelete, policy, expiresMs, arguments: given, maker };
  return Buffer.from(JSON.stringify(value));
}

/** Reads what `encodeDeclaration` wrote. Throws BrokerError("internal") on anything else. */
export function decodeDeclaration(bytes: Uint8Array): QueueDeclaration {
  const text = Buffer.from(bytes).toString();
  const read: unknown = JSON.parse(text);
  if (!isRecord(read) || !isRecord(read.policy) || !isRecord(read.arguments) || !Array.isArray(read.levels)) {
    throw new BrokerError(
      "internal",
      `The store describes a declared queue in a way this version does not know: ${text}`,
    );
  }
  return {
    address: new Address("queue", read.levels.map(String)),
    durable: read.durable === true,
    exclusive: read.exclusive === true,
    autoDelete: read.autoDelete === true,
    policy: knownFields(read.policy),
    expiresMs: typeof read.expiresMs === "number" ? read.expiresMs : 0,
    arguments: scalars(read.arguments),
    maker: readSubject(read.maker),
  };
}

/** The first thing in which two declarations of one queue differ, in RabbitMQ's words; undefined if there is none. */
export function difference(wanted: QueueDeclaration, found: QueueDeclaration): string | undefined {
  for (const flag of ["durable", "exclusive", "autoDelete"] as const) {
    if (wanted[flag] === found[flag]) continue;
    return differs(FLAGS[flag], wanted[flag], found[flag]);
  }
  return differentArgument(wanted.arguments, found.arguments);
}

/** The first argument in which two declarations differ, in RabbitMQ's words. */
export function differentArgument(wanted: DeclaredArguments, found: DeclaredArguments): string | undefined {
  for (const name of new Set([...found.keys(), ...wanted.keys()])) {
    if (wanted.get(name) !== found.get(name)) return differs(name, wanted.get(name), found.get(name));
  }
  return undefined;
}

const FLAGS = { durable: "durable", exclusive: "exclusive", autoDelete: "auto_delete" } as const;

function differs(name: string, wanted: Scalar | undefined, found: Scalar | undefined): string {
  const quoted = (value: Scalar | undefined): string => (value === undefined ? "none" : `'${String(value)}'`);
  return `inequivalent arg '${name}': received ${quoted(wanted)} but current is ${quoted(found)}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** What is still a field of policies; an older or newer version may have had others. */
function knownFields(read: Record<string, unknown>): Partial<Policy> {
  return Object.fromEntries(Object.entries(read).filter(([field]) => field in DEFAULT_POLICY));
}

function scalars(read: Record<string, unknown>): DeclaredArguments {
  const found = new Map<string, Scalar>();
  for (const [name, value] of Object.entries(read)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") found.set(name, value);
  }
  return found;
}
