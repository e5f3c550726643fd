import type { Login } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Output } from "../../core/output.ts";
import {
  type ClientListener,
  type EvictionCause,
  type Peer,
  ProtocolError,
  type Session,
} from "../../core/protocol.ts";
import { Reading } from "../../core/reading.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Timer } from "../../core/time/clock.ts";
import { HeartBeat } from "../../core/time/heart-beat.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { Answers } from "./answers.ts";
import { takesTokens, TokenNode } from "./cbs.ts";
import { Decoder } from "./codec.ts";
import type { Containers } from "./containers.ts";
import { Transactions } from "./coordinator.ts";
import { encodeHeader, writeEmpty, writeFrame } from "./encode.ts";
import { type Connected, Endpoint, type Ending } from "./endpoint.ts";
import { AmqpError, CONDITION, type Condition, conditionOf, describe } from "./errors.ts";
import type { Frame } from "./frame.ts";
import { checkOpen, hostOf, openingOf, wantsSole } from "./greeting.ts";
import type { Open, Performative, Said } from "./performatives.ts";
import type { Amqp10Options } from "./protocol.ts";
import { Sasl } from "./sasl.ts";
import { symbol } from "./values.ts";

/*
 *     greeting --AMQP--> opening --OPEN--> logging-in --login--> open --CLOSE--> leaving --answers written--> ended
 *        |                  ^                                      \
 *        +--SASL--> sasl ---+                                       +-- anything wrong: CLOSE sent --> ended
 */
type State = "greeting" | "sasl" | "opening" | "logging-in" | "open" | "leaving" | "ended";

const VERSION = 0x01_00_00;
const AMQP = 0;
const SASL = 3;
/** Bytes of messages that a client may send on credit it had, while it is to wait, before nothing is read from it. */
const MOST_OVERRUN = 1024 * 1024;
/** However short an idle time-out a peer asks for, it hears no more than twice in this time. */
const LEAST_BEAT_MS = 100;
/** A sender is told to wait when that lasts. */
const WITHHELD_AFTER_MS = 250;

/** The server's side of one AMQP 1.0 connection. */
export class Amqp10Session implements Session, ClientListener {
  readonly #peer: Peer;
  readonly #broker: Broker;
  readonly #options: Amqp10Options;
  readonly #containers: Containers;
  readonly #output: Output;
  readonly #decoder: Decoder;
  readonly #reading: Reading;
  #state: State = "greeting";
  #sasl: Sasl | undefined = undefined;
  #login: Login | undefined = undefined;
  #opened = false;
  #connected: Connected | undefined = undefined;
  /** By channel. */
  readonly #endpoints: (Endpoint | undefined)[] = [];
  #timeout: Timer | undefined;
  /** Runs from when the client has to wait. */
  #blockTimer: Timer | undefined = undefined;
  #keepAlive: HeartBeat | undefined = undefined;
  /** The container whose only connection this is, or one of them, as `Containers` knows it. */
  #entered: string | undefined = undefined;

  constructor(peer: Peer, broker: Broker, options: Amqp10Options, containers: Containers) {
    this.#peer = peer;
    this.#broker = broker;
    this.#options = options;
    this.#containers = containers;
    this.#output = peer.output;
    this.#decoder = new Decoder(options);
    this.#reading = new Reading(peer, {
      handle: () => this.#handleFrames(),
      listens: () => this.#state !== "ended",
    });
    const { connectTimeoutMs } = options;
    this.#timeout = broker.clock.after(connectTimeoutMs, () => {
      const text = `No OPEN within ${connectTimeoutMs / 1000} s (amqp10.connect_timeout)`;
      this.#fail(new AmqpError("connection", CONDITION.resourceLimitExceeded, text));
    });
  }

  receive(chunk: Buffer): void {
    if (this.#state === "ended" || this.#state === "leaving") return;
    this.#decoder.feed(chunk);
    if (!this.#reading.paused) this.#handleFrames();
  }

  drained(): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    connected.answers.unread = 0;
    for (const endpoint of this.#endpoints) endpoint?.wake();
    this.#goOn();
  }

  shutdown(reason: string): void {
    this.#leave(CONDITION.connectionForced, reason);
  }

  closed(): void {
    this.#end();
  }

  confirmed(token: string | number): void {
    this.#connected?.answers.confirmed(Number(token));
  }

  unblocked(): void {
    this.#blockTimer?.cancel();
    this.#blockTimer = undefined;
    if (this.#connected !== undefined) this.#connected.overrun = 0;
    for (const endpoint of this.#endpoints) endpoint?.unblocked();
    this.#goOn();
  }

  *routes(): Iterable<Route> {
    for (const endpoint of this.#endpoints) if (endpoint !== undefined) yield* endpoint.routes();
  }

  evicted(reason: string, cause?: EvictionCause): void {
    const isRefused = cause === "expired" || cause === "not-authorized";
    const condition = isRefused ? CONDITION.unauthorizedAccess : CONDITION.connectionForced;
    // The core is in the middle of something: closing the client now would change it under its hands.
    this.#broker.clock.endOfTurn(() => this.#leave(condition, reason));
  }

  #handleFrames(): void {
    const connected = this.#connected;
    try {
      if (connected !== undefined) connected.now = this.#broker.clock.now();
      while (!this.#reading.paused && this.#state !== "ended" && this.#state !== "leaving") {
        const frame = this.#decoder.next();
        if (frame === undefined) break;
        this.#onFrame(frame);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#connected?.answers.flush();
    if (connected?.client.blocked === true) this.#withholdSoon(connected);
  }

  /** Credit that was given counts while the client is held up for a moment only. */
  #withholdSoon({ client }: Connected): void {
    if (this.#state === "ended") return;
    this.#blockTimer ??= this.#broker.clock.after(WITHHELD_AFTER_MS, () => {
      if (!client.blocked || this.#state !== "open") return;
      for (const endpoint of this.#endpoints) endpoint?.withhold();
    });
  }

  #onFrame(frame: Frame): void {
    const connected = this.#connected;
    if (connected === undefined) {
      this.#onOpening(frame);
      return;
    }
    const endpoint = this.#endpoints[frame.channel];
    if (endpoint === undefined) {
      this.#onUnmapped(frame, connected);
      return;
    }
    if (endpoint.ending) {
      if (frame.performative?.type === "end") this.#endpoints[frame.channel] = undefined;
      else if (frame.performative?.type === "close") this.#onClose(connected);
      return;
    }
    try {
      this.#onMapped(frame, endpoint, connected);
    } catch (error) {
      if (!(error instanceof AmqpError) || error.scope === "connection") throw error;
      this.#failEndpoint(endpoint, error);
    }
    // Most frames are answered; a peer that reads none of the answers is not heard either.
    if (this.#output.full && (frame.type === "flow" || frame.type === "performative")) connected.answers.unread++;
    if (this.#held(connected)) this.#reading.pause();
  }

  #onMapped(frame: Frame, endpoint: Endpoint, connected: Connected): void {
    switch (frame.type) {
      case "transfer":
        endpoint.onTransfer(frame);
        return;
      case "disposition":
        endpoint.onDisposition(frame.disposition);
        return;
      case "flow":
        endpoint.onFlow(frame.flow);
        return;
      case "empty":
        return;
      case "header":
        throw illegal("A protocol header came among the frames");
      case "performative":
        this.#onPerformative(frame, endpoint, connected);
    }
  }

  #onPerformative({ performative, channel }: Frame, endpoint: Endpoint, connected: Connected): void {
    switch (performative?.type) {
      case "attach":
        endpoint.onAttach(performative);
        return;
      case "detach":
        endpoint.onDetach(performative);
        return;
      case "end":
        this.#onEnd(endpoint, connected);
        return;
      case "close":
        this.#onClose(connected);
        return;
      default:
        throw illegal(`${nameOf(performative)} came on channel ${channel}, which has a session already`);
    }
  }

  /** What comes on a channel without a session. */
  #onUnmapped({ type, performative, channel }: Frame, connected: Connected): void {
    if (type === "empty") return;
    if (performative?.type === "close") {
      this.#onClose(connected);
      return;
    }
    if (performative?.type !== "begin") {
      const name = type === "performative" ? nameOf(performative) : type.toUpperCase();
      throw new AmqpError(
        "connection",
        CONDITION.notAllowed,
        `${name} came on channel ${channel}, which has no session`,
      );
    }
    const { maxSessions } = this.#options;
    if (channel >= maxSessions) {
      const text = `BEGIN came on channel ${channel}; channel-max is ${maxSessions - 1} (amqp10.max_sessions)`;
      throw new AmqpError("connection", CONDITION.framingError, text);
    }
    if (performative.remoteChannel !== undefined) {
      throw illegal(`BEGIN answers one of channel ${performative.remoteChannel}, which the broker never began`);
    }
    this.#endpoints[channel] = new Endpoint(connected, channel, performative);
  }

  /** END (amqp10 2.5.5). */
  #onEnd(endpoint: Endpoint, connected: Connected): void {
    const { channel } = endpoint;
    endpoint.close("end");
    this.#endpoints[channel] = undefined;
    connected.answers.afterwards(() => endpoint.sayEnd());
  }

  #failEndpoint(endpoint: Endpoint, error: AmqpError): void {
    endpoint.close("end");
    endpoint.sayEnd(error);
  }

  /** CLOSE (amqp10 2.4.3): answered once all that was said is safe. */
  #onClose({ answers }: Connected): void {
    this.#state = "leaving";
    this.#closeEndpoints("gone");
    this.#keepAlive?.stop();
    answers.afterwards(() => {
      this.#end();
      writeFrame(this.#output, 0, { type: "close" });
      this.#peer.close("the client closed the connection");
    });
  }

  /** What may come before the client is let in. */
  #onOpening(frame: Frame): void {
    const { performative } = frame;
    if (frame.type === "header") {
      this.#onHeader(frame);
    } else if (frame.type === "empty" && !frame.sasl && this.#state === "opening") {
      return;
    } else if (frame.sasl && this.#state === "sasl" && performative?.type === "sasl-init") {
      this.#sasl?.onSaslInit(performative);
    } else if (frame.sasl && this.#state === "sasl" && performative?.type === "sasl-response") {
      this.#sasl?.onSaslResponse(performative);
    } else if (!frame.sasl && this.#state === "opening" && performative?.type === "open") {
      this.#onOpen(performative);
    } else {
      const expected =
        this.#state === "opening" ? "OPEN" : this.#state === "sasl" ? "a SASL frame" : "a protocol header";
      throw illegal(`${nameOf(performative)} came first; expected ${expected}`);
    }
  }

  #onHeader({ protocolId, version }: Frame): void {
    const secured = this.#login !== undefined;
    if (version !== VERSION || (protocolId !== AMQP && (protocolId !== SASL || secured))) {
      // amqp10 2.2: what is supported, and the end.
      this.#say(encodeHeader(secured ? AMQP : SASL));
      this.#end();
      const found = `protocol ${protocolId} version ${version >> 16}.${(version >> 8) & 255}.${version & 255}`;
      this.#peer.close(`the client asked for ${found} of AMQP; expected 0 or 3, version 1.0.0`);
      return;
    }
    if (this.#state !== "greeting") throw illegal("A second protocol header came");
    if (protocolId === SASL) this.#beginSasl();
    else {
      this.#say(encodeHeader(AMQP));
      this.#state = "opening";
    }
  }

  #beginSasl(): void {
    this.#say(encodeHeader(SASL));
    this.#state = "sasl";
    this.#sasl = new Sasl({
      broker: this.#broker,
      peer: this.#peer,
      say: (performative) => writeFrame(this.#output, 0, performative),
      ready: (ready) => {
        if (ready) this.#reading.goOn();
        else this.#reading.pause();
      },
      accepted: (login) => {
        this.#login = login;
        this.#state = "greeting";
        this.#decoder.expectHeader();
      },
      refused: (reason) => {
        this.#end();
        this.#peer.close(reason, this.#options.closeTimeoutMs);
      },
    });
  }

  /** OPEN (amqp10 2.4.1). */
  #onOpen(open: Open): void {
    this.#timeout?.cancel();
    this.#timeout = undefined;
    this.#state = "logging-in";
    this.#reading.pause();
    void this.#enter(open);
  }

  async #enter(open: Open): Promise<void> {
    try {
      const { refusal } = this.#peer;
      if (refusal !== undefined) throw refusal;
      checkOpen(open);
      const host = hostOf(open, this.#broker);
      // Without SASL a client is nobody, who may be let in too.
      const login =
        this.#login ??
        (await this.#broker.login({ user: undefined, password: undefined, peer: this.#peer, host: host.name }));
      if (this.#state !== "logging-in") return;
      this.#welcome(open, host, login);
    } catch (error) {
      this.#fail(error);
    }
  }

  #welcome(open: Open, host: VirtualHost, login: Login): void {
    const { containerId } = open;
    const sole = wantsSole(open);
    const container = JSON.stringify([host.name, containerId]);
    if (!this.#containers.enter(container, sole)) {
      this.#refuseSecond(containerId);
      return;
    }
    this.#entered = container;
    const client = host.connect({
      peer: this.#peer,
      login,
      protocol: "AMQP 1.0",
      clientId: containerId,
      listener: this,
    });
    this.#connected = {
      broker: this.#broker,
      client,
      output: this.#output,
      options: this.#options,
      answers: new Answers(client, this.#output),
      transactions: new Transactions(client, this.#options.maxTransactions),
      tokens: takesTokens(this.#broker) ? this.#tokenNode(client) : undefined,
      containers: this.#containers,
      containerId,
      maxFrameBytes: open.maxFrameSize,
      suspended: new Map(),
      now: this.#broker.clock.now(),
      assembling: 0,
      overrun: 0,
    };
    this.#peer.identify({
      protocol: "AMQP 1.0",
      clientId: containerId,
      ...(client.user === undefined ? {} : { user: client.user }),
    });
    this.#decoder.opened();
    this.#sayOpen(sole);
    this.#state = "open";
    this.#beginKeepAlive(open.idleTimeOut ?? 0);
    this.#reading.goOn();
  }

  /** One of the two is to be its container's only connection. */
  #refuseSecond(containerId: string): void {
    this.#sayOpen(false, true);
    const text = `Container "${containerId}" is connected already, and one of the two is to be its only connection`;
    this.#leave(CONDITION.invalidField, text, new Map([["invalid-field", symbol("container-id")]]));
  }

  #sayOpen(sole = false, refused = false): void {
    this.#opened = true;
    writeFrame(this.#output, 0, openingOf(this.#broker, this.#options, sole, refused));
  }

  #tokenNode(client: Client): TokenNode {
    return new TokenNode({
      broker: this.#broker,
      client,
      wait: () => this.#reading.pause(),
      goOn: () => this.#goOn(),
      fail: (error) => this.#fail(error),
    });
  }

  #beginKeepAlive(peerIdleMs: number): void {
    this.#keepAlive = new HeartBeat(this.#broker.clock, this.#peer, {
      // amqp10 2.4.5: a peer should say half of the time after which it gives up; it may have said all of it.
      sendMs: peerIdleMs === 0 ? 0 : Math.max(peerIdleMs / 2, LEAST_BEAT_MS),
      silenceMs: this.#options.idleTimeoutMs,
      beat: () => writeEmpty(this.#output),
      dead: (silentMs) => {
        const text = `Nothing came for ${Math.round(silentMs / 1000)} s (amqp10.idle_timeout)`;
        this.#leave(CONDITION.resourceLimitExceeded, text);
      },
    });
    this.#reading.watch(this.#keepAlive);
  }

  #held({ client, answers, overrun, tokens }: Connected): boolean {
    return (
      tokens?.checking === true ||
      (overrun > MOST_OVERRUN && client.blocked) ||
      answers.unread > this.#options.maxAnswersWaiting
    );
  }

  /** Handles what was left and reads on, unless there still is a reason not to. */
  #goOn(): void {
    const connected = this.#connected;
    if (connected !== undefined && this.#state === "open" && !this.#held(connected)) this.#reading.goOn();
  }

  #say(bytes: Buffer): void {
    const at = this.#output.reserve(bytes.length);
    this.#output.advance(at + bytes.copy(this.#output.buffer, at));
  }

  /** Something is wrong: says what in a CLOSE, where the peer would understand one, and closes. */
  #fail(error: unknown): void {
    const known = error instanceof ProtocolError || error instanceof BrokerError;
    // What is neither the peer's fault nor a refusal needs its stack in the log.
    const reason = known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#leave(conditionOf(error), reason, undefined, describe(error));
  }

  #leave(
    condition: Condition,
    reason: string,
    info?: ReadonlyMap<string, ReturnType<typeof symbol>>,
    told = reason,
  ): void {
    if (this.#state === "ended") return;
    const understands = this.#opened || this.#state === "opening" || this.#state === "logging-in";
    this.#end();
    if (understands) {
      // amqp10 2.4.1: an OPEN comes before anything else.
      if (!this.#opened) this.#sayOpen();
      const error = { type: "error", condition, description: told, info } as const;
      writeFrame(this.#output, 0, { type: "close", error });
    }
    this.#peer.close(reason, this.#options.closeTimeoutMs);
  }

  #closeEndpoints(ending: Ending): void {
    for (const [channel, endpoint] of this.#endpoints.entries()) {
      if (endpoint !== undefined && !endpoint.ending) endpoint.close(ending);
      this.#endpoints[channel] = undefined;
    }
  }

  #end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#timeout?.cancel();
    this.#blockTimer?.cancel();
    this.#keepAlive?.stop();
    this.#sasl?.stop();
    const connected = this.#connected;
    try {
      this.#closeEndpoints("gone");
    } finally {
      if (this.#entered !== undefined) this.#containers.leave(this.#entered);
      connected?.answers.stop();
      // At once, so that nothing is delivered behind the last frame.
      connected?.client.close();
    }
  }
}

function illegal(text: string): AmqpError {
  return new AmqpError("connection", CONDITION.illegalState, text);
}

function nameOf(performative: Performative | Said<Performative> | undefined): string {
  return performative === undefined ? "An empty frame" : performative.type.toUpperCase();
}
