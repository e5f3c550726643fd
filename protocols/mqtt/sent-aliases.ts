import type { Address } from "../../core/addresses/address.ts";

/** A number for a topic; `known` when the client was told already which topic that is. */
interface Alias {
  readonly number: number;
  readonly known: boolean;
}

/** The topics that one client knows by a number: the first ones it was sent, for as long as it is connected. */
export class SentAliases {
  readonly #most: number;
  readonly #byName = new Map<string, Alias>();
  /** What was found for an address as an object; null: there is none, and there will be none. */
  readonly #found = new WeakMap<Address, Alias | null>();

  /** [MQTT-3.1.2-26] [MQTT-3.1.2-27]: `most` is not above the topic alias maximum of its CONNECT. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The alias to be sent with an address; none when there are as many as may be. */
  of(address: Address): Alias | undefined {
    const found = this.#found.get(address);
    if (found !== undefined) return found ?? undefined;
    const known = this.#byName.get(keyOf(address));
    const next = this.#byName.size + 1;
    // [MQTT-3.3.2-8]
    if (known === undefined && next <= this.#most) return { number: next, known: false };
    this.#found.set(address, known ?? null);
    return known;
  }

  /** It was sent along with its topic. */
  told(address: Address): void {
    const key = keyOf(address);
    if (!this.#byName.has(key)) this.#byName.set(key, { number: this.#byName.size + 1, known: true });
  }
}

function keyOf({ kind, name }: Address): string {
  return `${kind} ${name}`;
}
