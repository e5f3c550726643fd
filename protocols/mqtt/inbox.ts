import type { HostSession } from "../../core/sessions/session.ts";
import { MqttError, REASON } from "./errors.ts";

const IN = "in ";
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * What a client has sent at QoS 1 and 2 and what is not yet done with it:
 *
 *     QoS 1   PUBLISH --on disk--> PUBACK
 *     QoS 2   PUBLISH, "in ID" noted in the same batch --on disk--> PUBREC ... PUBREL, note dropped --on disk--> PUBCOMP
 */
export class Inbox {
  /** Packet identifiers at QoS 2 whose PUBREL has not come yet [MQTT-4.3.3-10]. */
  readonly #received = new Set<number>();
  readonly #maximum: number;
  #session: HostSession | undefined = undefined;
  /** Messages sent on this connection that are not acknowledged yet [MQTT-4.9.0-1]. */
  #underWay = 0;

  /** `maximum` is how many messages may be under way; Infinity where the client knows of no bound. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Takes over what the session's connections before have left. */
  resume(session: HostSession): void {
    this.#session = session;
    for (const [key] of session.entries()) if (key.startsWith(IN)) this.#received.add(Number(key.slice(IN.length)));
  }

  /** Whether this was received already and is sent again because PUBREC did not arrive [MQTT-4.3.3-9]. */
  has(id: number): boolean {
    return this.#received.has(id);
  }

  /** Counts a message; throws `MqttError` when there are too many under way [MQTT-3.3.4-7]. */
  begin(): void {
    if (this.#underWay >= this.#maximum) {
      throw new MqttError(
        REASON.receiveMaximumExceeded,
        `More than ${this.#maximum} messages under way (mqtt.receive_maximum)`,
      );
    }
    this.#underWay++;
  }

  /** Notes a message at QoS 2, in one batch with it: it is there once, whatever happens. */
  receive(id: number): void {
    this.#received.add(id);
    this.#session?.put(IN + id, NOTHING);
  }

  /** A message is acknowledged, or was refused. */
  end(): void {
    this.#underWay--;
  }

  /** PUBREL; false for one that is not known. */
  release(id: number): boolean {
    if (!this.#received.delete(id)) return false;
    // One that the client sent on a connection before was not counted on this one.
    if (this.#underWay > 0) this.#underWay--;
    this.#session?.drop(IN + id);
    return true;
  }
}
