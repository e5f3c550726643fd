import type { Login } from "../../core/access/access.ts";
import type { Broker, Exchange, Step } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Peer } from "../../core/protocol.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { hostNamed } from "./greeting.ts";
import type { Performative, SaslInit, SaslResponse, Said } from "./performatives.ts";

/** What a SASL negotiation needs of its connection. */
export interface SaslOptions {
  readonly broker: Broker;
  readonly peer: Peer;
  readonly say: (performative: Said<Performative>) => void;
  /** No frame is to be handled while a login is checked; `true` when that is over. */
  readonly ready: (ready: boolean) => void;
  readonly accepted: (login: Login) => void;
  /** The peer has been told already. */
  readonly refused: (reason: string) => void;
}

/** amqp10 5.3.3.6 */
const CODE = { ok: 0, auth: 1, system: 2, temporary: 4 } as const;

/** Offered to who has shown a certificate that the broker knows. */
const EXTERNAL = "EXTERNAL";
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * The security layer of one connection (amqp10 5.3), from the mechanisms to the outcome:
 *
 *     mechanisms -> init -> (challenge -> response)* -> outcome
 */
export class Sasl {
  readonly #options: SaslOptions;
  #exchange: Exchange | undefined = undefined;
  /** The virtual host that the client says it will open. */
  #host: string | undefined = undefined;
  /** Whether the last word was the broker's. */
  #asked = false;
  #ended = false;

  constructor(options: SaslOptions) {
    this.#options = options;
    const { broker, peer, say } = options;
    const external = peer.certificate === undefined ? [] : [EXTERNAL];
    say({ type: "sasl-mechanisms", mechanisms: [...external, ...broker.mechanisms, "PLAIN", "ANONYMOUS"] });
  }

  /** SASL-INIT. */
  onSaslInit(init: SaslInit): void {
    if (this.#exchange !== undefined) throw outOfOrder("a second SASL-INIT");
    // amqp10 5.3.3.2: as OPEN will have it; one that nobody knows is OPEN's to refuse.
    this.#host = hostNamed(init.hostname, this.#options.broker)?.name;
    this.#exchange = this.#begin(init.mechanism);
    if (this.#exchange === undefined) {
      this.#refuse(`The mechanism ${init.mechanism} is not offered`, CODE.auth);
      return;
    }
    // RFC 4616 2: the one message of PLAIN is to be asked for when it does not come at once.
    if (init.initialResponse === undefined && init.mechanism === "PLAIN") this.#challenge(NOTHING);
    else void this.#step(this.#exchange, init.initialResponse ?? NOTHING);
  }

  /** SASL-RESPONSE. */
  onSaslResponse({ response }: SaslResponse): void {
    if (this.#exchange === undefined || !this.#asked) throw outOfOrder("a SASL-RESPONSE that nothing asked for");
    this.#asked = false;
    void this.#step(this.#exchange, response);
  }

  /** Gives up: the connection is gone. */
  stop(): void {
    this.#ended = true;
  }

  #begin(mechanism: string): Exchange | undefined {
    const { broker, peer } = this.#options;
    if (broker.mechanisms.includes(mechanism)) return broker.authenticate(mechanism, peer, this.#host);
    if (mechanism === "PLAIN") return { step: (data) => this.#plain(data) };
    if (mechanism === EXTERNAL && peer.certificate !== undefined) return { step: (data) => this.#external(data) };
    if (mechanism === "ANONYMOUS") return { step: () => this.#login(undefined, undefined) };
    return undefined;
  }

  async #step(exchange: Exchange, data: Buffer): Promise<void> {
    const { ready } = this.#options;
    ready(false);
    try {
      const step = await exchange.step(data);
      if (this.#ended) return;
      this.#answer(step);
      ready(true);
    } catch (error) {
      if (this.#ended) return;
      const known = error instanceof BrokerError;
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (known) this.#refuse(error.message, error.code === "throttled" ? CODE.temporary : CODE.auth);
      else this.#refuse(why, CODE.system);
    }
  }

  #answer(step: Step): void {
    if (!step.done) {
      this.#challenge(step.data);
      return;
    }
    this.#ended = true;
    this.#options.say({ type: "sasl-outcome", code: CODE.ok, additionalData: step.data });
    this.#options.accepted(step.login);
  }

  #challenge(data: Buffer): void {
    this.#asked = true;
    this.#options.say({ type: "sasl-challenge", challenge: data });
  }

  #refuse(reason: string, code: number): void {
    this.#ended = true;
    this.#options.say({ type: "sasl-outcome", code });
    this.#options.refused(reason);
  }

  /** RFC 4616: whom to act as (which has to be nobody else), who it is, and the password. */
  #plain(data: Buffer): Promise<Step> {
    const [identity, user, password, ...others] = data.toString().split("\0");
    if (user === undefined || password === undefined || others.length > 0) {
      throw new BrokerError("not-authenticated", "The message of PLAIN does not have three parts");
    }
    if (identity !== "" && identity !== user) {
      throw new BrokerError("not-authenticated", `User ${user} may not act as ${identity ?? ""}`);
    }
    return this.#login(user, password);
  }

  /** RFC 4422 appendix A: whom to act as, which is who the certificate is of, or nothing. */
  async #external(data: Buffer): Promise<Step> {
    const step = await this.#login(undefined, undefined);
    const identity = data.toString();
    if (identity === "" || (step.done && step.login.user === identity)) return step;
    throw new BrokerError("not-authenticated", `The certificate is not one of user ${identity}`);
  }

  async #login(user: string | undefined, password: string | undefined): Promise<Step> {
    const { broker, peer } = this.#options;
    return { done: true, data: undefined, login: await broker.login({ user, password, peer, host: this.#host }) };
  }
}

function outOfOrder(what: string): AmqpError {
  return new AmqpError("connection", CONDITION.illegalState, `There was ${what}`);
}
