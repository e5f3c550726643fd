import { BrokerError } from "../errors.ts";
import { escapeCanonical } from "./escape.ts";

/** What an address leads to; each is a name space of its own. An exchange's address is its name and a routing key. */
export type AddressKind = "queue" | "topic" | "exchange";

const KINDS: readonly AddressKind[] = ["queue", "topic", "exchange"];

/** The number of a kind in the store: these never change. */
export function kindCode(kind: AddressKind): number {
  return KINDS.indexOf(kind);
}

/** The kind of a number; a topic for one that is not known. */
export function kindOfCode(code: number | undefined): AddressKind {
  return KINDS[code ?? 1] ?? "topic";
}

/** Whether a text names a kind of addresses. */
export function isAddressKind(text: unknown): text is AddressKind {
  return text === "queue" || text === "topic" || text === "exchange";
}

/** The most UTF-8 bytes that the canonical text of an address or a pattern may have. */
export const maxNameBytes = 1024;

/** The most levels that an address or a pattern may have. */
export const maxLevels = 128;

/** A concrete destination, without wildcards. Never changes. */
export class Address {
  readonly kind: AddressKind;
  /** At least one; any well-formed strings, empty ones too. */
  readonly levels: readonly string[];
  /** Canonical text: the levels escaped and joined with "."; unique within the kind. */
  readonly name: string;

  /** Throws BrokerError("bad-address") if there is no level, a lone surrogate, or a limit is passed. */
  constructor(kind: AddressKind, levels: readonly string[]) {
    checkLevelCount(levels.length);
    let name = "";
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i] ?? "";
      if (!level.isWellFormed())
        throw new BrokerError("bad-address", `level ${i + 1} of the name has a lone surrogate`);
      if (i > 0) name += ".";
      name += escapeCanonical(level);
    }
    checkNameLength(name);
    this.kind = kind;
    this.levels = levels.slice();
    this.name = name;
  }
}

/** Refuses a name with no levels or too many of them: throws BrokerError("bad-address"). */
export function checkLevelCount(count: number): void {
  if (count === 0) throw new BrokerError("bad-address", "the name has no levels, expected at least one");
  if (count > maxLevels) {
    throw new BrokerError("bad-address", `the name has ${count} levels, the limit is ${maxLevels} levels`);
  }
}

/** Refuses canonical text that is too long: throws BrokerError("bad-address"). */
export function checkNameLength(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxNameBytes) {
    throw new BrokerError(
      "bad-address",
      `the name has ${bytes} bytes when written out, the limit is ${maxNameBytes} bytes`,
    );
  }
}
