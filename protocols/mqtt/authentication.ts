import type { Login } from "../../core/access/access.ts";
import type { Broker, Exchange, Step } from "../../core/broker.ts";
import type { Timer } from "../../core/time/clock.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Peer } from "../../core/protocol.ts";
import { MqttError, protocolError, REASON, type ReasonCode } from "./errors.ts";
import type { Auth } from "./packet.ts";
import type { Properties } from "./property-writer.ts";

/** What an authentication needs of the connection that it is about. */
export interface AuthenticationOptions {
  readonly broker: Broker;
  readonly peer: Peer;
  /** The virtual host that it is for. */
  readonly host: string;
  /** How long an exchange may take. */
  readonly timeoutMs: number;
  /** Sends an AUTH. */
  readonly say: (code: ReasonCode, properties: Properties) => void;
  /** The client is who it says; `properties` belong into the answer. What it throws is a failure too. */
  readonly accepted: (login: Login, properties: Properties) => void;
  readonly failed: (error: unknown) => void;
}

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Enhanced authentication on one connection (mqtt5 4.12), by the method that CONNECT names:
 *
 *     CONNECT data -> AUTH 24 <-> AUTH 24 ... -> accepted      AUTH 25 data -> AUTH 24 <-> AUTH 24 ... -> accepted
 */
export class Authentication {
  readonly #method: string;
  readonly #options: AuthenticationOptions;
  /** What is under way. */
  #exchange: Exchange | undefined = undefined;
  /** Whether the last word was the broker's. */
  #asked = false;
  #timer: Timer | undefined = undefined;
  /** It succeeded once: what comes now is the same again. */
  #renewing = false;

  /** Throws `MqttError` when the broker does not know the method. */
  constructor(method: string, options: AuthenticationOptions) {
    const { mechanisms } = options.broker;
    if (!mechanisms.includes(method)) {
      const known = mechanisms.length === 0 ? "there is none" : `expected ${mechanisms.join(" or ")}`;
      // [MQTT-4.12.0-1]
      throw new MqttError(REASON.badAuthenticationMethod, `The authentication method ${method} is not known; ${known}`);
    }
    this.#method = method;
    this.#options = options;
  }

  /** Begins with what the client said first, if anything. */
  begin(data: Buffer = NOTHING): void {
    const { broker, peer, host, timeoutMs, failed } = this.#options;
    const exchange = broker.authenticate(this.#method, peer, host);
    this.#exchange = exchange;
    this.#timer = broker.clock.after(timeoutMs, () => {
      this.stop();
      const text = `The authentication was not over after ${timeoutMs / 1000} s (mqtt.connect_timeout)`;
      failed(new MqttError(REASON.notAuthorized, text));
    });
    void this.#step(exchange, data);
  }

  /** AUTH. Throws `MqttError` for one that may not come. */
  onAuth({ reasonCode, properties }: Auth): void {
    const method = properties.text("authenticationMethod");
    // [MQTT-4.12.0-5] [MQTT-4.12.1-1]
    if (method !== this.#method) {
      throw protocolError(`An AUTH has the method ${method}; expected ${this.#method}, as in CONNECT`);
    }
    const exchange = this.#exchange;
    const data = properties.bytes("authenticationData");
    if (reasonCode === REASON.reauthenticate) {
      if (exchange !== undefined)
        throw protocolError("An AUTH begins an authentication while another one is under way");
      this.begin(data);
      return;
    }
    // [MQTT-4.12.0-3]
    if (exchange === undefined || !this.#asked) throw protocolError("An AUTH goes on with what was not asked for");
    this.#asked = false;
    void this.#step(exchange, data ?? NOTHING);
  }

  /** Gives up what is under way. */
  stop(): void {
    this.#exchange = undefined;
    this.#timer?.cancel();
  }

  async #step(exchange: Exchange, data: Buffer): Promise<void> {
    try {
      const step = await exchange.step(data);
      if (exchange === this.#exchange) this.#answer(step);
    } catch (error) {
      if (exchange !== this.#exchange) return;
      this.stop();
      this.#options.failed(this.#renewing ? inTheMidst(error) : error);
    }
  }

  #answer(step: Step): void {
    const properties = { authenticationMethod: this.#method, authenticationData: step.data };
    if (!step.done) {
      this.#asked = true;
      // [MQTT-4.12.0-2]
      this.#options.say(REASON.continueAuthentication, properties);
      return;
    }
    this.#options.accepted(step.login, properties);
    this.#renewing = true;
    this.stop();
  }
}

/** The refusal of a login in the words of DISCONNECT, which has none for user names and passwords. */
function inTheMidst(error: unknown): unknown {
  if (error instanceof BrokerError && error.code === "not-authenticated") {
    return new MqttError(REASON.notAuthorized, error.message);
  }
  return error;
}
