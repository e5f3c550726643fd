import type { Address } from "../../core/addresses/address.ts";

/** A number for a topic; `known` when the client was told already which topic that is. */
interface Alias {
  readonly number: number;
  readonly known: boolean;
}

/** The topics that one client knows by a number: the first ones it was sent, for as long as it is connected. */
export class SentAliases {
  readonly #most: number;
  readonly #numbers = new Map<string, number>();

  /** [MQTT-3.1.2-26] [MQTT-3.1.2-27]: `most` is not above the topic alias maximum of its CONNECT. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The alias to be sent with an address; none when there are as many as may be. */
  of(address: Address): Alias | undefined {
    const number = this.#numbers.get(keyOf(address));
    if (number !== undefined) return { number, known: true };
    // [MQTT-3.3.2-8]
    return this.#numbers.size < this.#most ? { number: this.#numbers.size + 1, known: false } : undefined;
  }

  /** It was sent along with its topic. */
  told(address: Address): void {
    const key = keyOf(address);
    if (!this.#numbers.has(key)) this.#numbers.set(key, this.#numbers.size + 1);
  }
}

function keyOf({ kind, name }: Address): string {
  return `${kind} ${name}`;
}
