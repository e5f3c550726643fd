import type { Login } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Output } from "../../core/output.ts";
import type { ClientListener, EvictionCause, Peer, Session } from "../../core/protocol.ts";
import { Reading } from "../../core/reading.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Timer } from "../../core/time/clock.ts";
import { HeartBeat } from "../../core/time/heart-beat.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { Channels } from "./channels.ts";
import { Decoder, type FrameSink, PROTOCOL_HEADER } from "./codec.ts";
import { Connection } from "./connection.ts";
import { DeliveryWriter, type SharedWire } from "./delivery-writer.ts";
import { writeHeartbeat } from "./encode.ts";
import { AmqpError, refusalOf } from "./errors.ts";
import {
  agreeOn,
  type Capabilities,
  type Claim,
  capabilitiesOf,
  connectionName,
  readClaim,
  startArguments,
  type Tuning,
  tuneArguments,
} from "./greeting.ts";
import { type Arguments, decodeMethod, type Method, writeMethod } from "./methods.ts";
import type { Amqp091Options } from "./protocol.ts";
import type { Publish } from "./publish.ts";

/*
 *     greeting --header--> starting --start-ok--> logging-in --login--> tuning --tune-ok--> opening --open--> open
 *         \                    \____________________\___ anything wrong ___\_____________________\____________/ |
 *          `- another version                        closing --close-ok--> ended <--all is safe-- leaving <-- close
 */
type State = "greeting" | "starting" | "logging-in" | "tuning" | "opening" | "open" | "leaving" | "closing" | "ended";

/** What a client said of itself. */
interface Introduction {
  readonly capabilities: Capabilities;
  readonly name: string | undefined;
}

const NO_INTRODUCTION: Introduction = {
  capabilities: { blocked: false, cancelNotify: false, authenticationClose: false },
  name: undefined,
};

/** Frames of a client that nobody knows yet may not be larger. */
const MOST_UNKNOWN_FRAME = 64 * 1024;
/** A client is given up after so many intervals of heartbeats without a byte (amqp091 4.2.7). */
const SILENT_INTERVALS = 2;
/** A sender is told that it is held up when that lasts. */
const BLOCKED_AFTER_MS = 250;

/** The server's side of one AMQP 0-9-1 connection. */
export class Amqp091Session implements Session, ClientListener, FrameSink {
  readonly #peer: Peer;
  readonly #broker: Broker;
  readonly #options: Amqp091Options;
  readonly #wire: SharedWire;
  readonly #output: Output;
  readonly #decoder: Decoder;
  readonly #reading: Reading;
  #state: State = "greeting";
  #introduction: Introduction = NO_INTRODUCTION;
  /** Who the client says it is, until that is checked. */
  #claim: Claim | undefined = undefined;
  #login: Login | undefined = undefined;
  #tuning: Tuning | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #channels: Channels | undefined = undefined;
  /** Until the virtual host is open; then, until the client agrees to the end. */
  #timeout: Timer | undefined;
  #heartbeat: HeartBeat | undefined = undefined;
  #renewing = false;
  #blockTimer: Timer | undefined = undefined;
  #blockTold = false;
  /** Why the connection ends, for the log. */
  #reason = "";

  constructor(peer: Peer, broker: Broker, options: Amqp091Options, wire: SharedWire) {
    this.#peer = peer;
    this.#broker = broker;
    this.#options = options;
    this.#wire = wire;
    this.#output = peer.output;
    const maxFrameBytes = Math.min(options.maxFrameBytes, MOST_UNKNOWN_FRAME);
    this.#decoder = new Decoder(this, { maxFrameBytes, maxBodyBytes: options.maxBodyBytes });
    this.#reading = new Reading(peer, {
      handle: () => {
        this.#channels?.goOn();
        this.#handleFrames();
      },
      listens: () => this.#listens,
    });
    const { connectTimeoutMs } = options;
    this.#timeout = broker.clock.after(connectTimeoutMs, () => {
      const seconds = connectTimeoutMs / 1000;
      this.#fail(new AmqpError("CONNECTION_FORCED", `not opened within ${seconds} s (amqp.connect_timeout)`));
    });
  }

  receive(chunk: Buffer): void {
    if (this.#state === "ended" || this.#state === "leaving") return;
    this.#decoder.feed(chunk);
    if (!this.#reading.paused) this.#handleFrames();
  }

  drained(): void {
    this.#connection?.drained();
    this.#goOn();
  }

  shutdown(reason: string): void {
    this.#fail(new AmqpError("CONNECTION_FORCED", `broker forced connection closure with reason '${reason}'`));
  }

  closed(): void {
    this.#end();
  }

  confirmed(): void {
    if (this.#state !== "ended") this.#connection?.confirmed();
  }

  unblocked(): void {
    this.#blockTimer?.cancel();
    this.#blockTimer = undefined;
    if (this.#blockTold && this.#state === "open") writeMethod(this.#output, 0, "connection.unblocked", {});
    this.#blockTold = false;
    this.#goOn();
  }

  routes(): Iterable<Route> {
    return this.#channels?.routes() ?? [];
  }

  evicted(reason: string, cause?: EvictionCause): void {
    const reply = cause === "expired" || cause === "not-authorized" ? "ACCESS_REFUSED" : "CONNECTION_FORCED";
    // The core is in the middle of something: closing the client now would change it under its hands.
    this.#broker.clock.endOfTurn(() => this.#fail(new AmqpError(reply, reason, "connection")));
  }

  onProtocolHeader(accepted: boolean): void {
    if (accepted) {
      this.#state = "starting";
      writeMethod(this.#output, 0, "connection.start", startArguments(this.#broker, this.#peer));
      return;
    }
    this.#end();
    const at = this.#output.reserve(PROTOCOL_HEADER.length);
    this.#output.advance(at + PROTOCOL_HEADER.copy(this.#output.buffer, at));
    this.#peer.close("the client speaks another version of AMQP; expected 0-9-1");
  }

  onMethod(channel: number, code: number, data: Buffer, start: number, end: number): void {
    if (channel !== 0) {
      this.#opened(channel, code)?.onMethod(channel, code, data, start, end);
      return;
    }
    try {
      this.#onConnection(decodeMethod(code, data, start, end));
    } catch (error) {
      this.#fail(error, code);
    }
  }

  onPublish(channel: number, publish: Publish): void {
    this.#opened(channel)?.onPublish(channel, publish);
  }

  onAck(channel: number, deliveryTag: number, multiple: boolean): void {
    this.#opened(channel)?.onAck(channel, deliveryTag, multiple);
  }

  onHeader(channel: number, data: Buffer, start: number, end: number): void {
    this.#opened(channel)?.onHeader(channel, data, start, end);
  }

  onBody(channel: number, data: Buffer, start: number, end: number, left: number): void {
    this.#opened(channel)?.onBody(channel, data, start, end, left);
  }

  onHeartbeat(): void {
    // That bytes came is all there is to know.
  }

  #handleFrames(): void {
    if (this.#connection !== undefined) this.#connection.now = this.#broker.clock.now();
    try {
      while (!this.#reading.paused && this.#listens && this.#decoder.next()) {
        if (this.#connection?.busy === true) this.#pause();
      }
    } catch (error) {
      // What comes behind a frame that makes no sense makes none either.
      if (this.#state === "closing") this.#hangUp();
      else this.#fail(error);
    }
    if (this.#state === "open" || this.#state === "leaving") this.#connection?.gatherConfirms();
  }

  get #listens(): boolean {
    return this.#state !== "ended" && this.#state !== "leaving" && this.#state !== "logging-in";
  }

  /** The channels, if this is the time for frames of channels; else the connection ends over it, or it is dropped. */
  #opened(channel: number, code = 0): Channels | undefined {
    if (this.#state === "open" && channel !== 0) return this.#channels;
    if (this.#state === "closing") return undefined;
    const text =
      channel === 0
        ? "a content frame on channel 0"
        : `a frame on channel ${channel} while the connection is ${this.#state}; expected connection methods`;
    this.#fail(new AmqpError(channel === 0 ? "CHANNEL_ERROR" : "COMMAND_INVALID", text), code);
    return undefined;
  }

  #onConnection(method: Method): void {
    if (method.name === "connection.close-ok") {
      if (this.#state === "closing") this.#hangUp();
      else throw unexpected(method, this.#state);
      return;
    }
    if (method.name === "connection.close") {
      this.#onConnectionClose(method.arguments);
      return;
    }
    // amqp091 connection.close: after it everything but close and close-ok is to be discarded.
    if (this.#state === "closing") return;
    const state = this.#state;
    if (state === "starting" && method.name === "connection.start-ok") this.#onStartOk(method.arguments);
    else if (state === "tuning" && method.name === "connection.tune-ok") this.#onTuneOk(method.arguments);
    else if (state === "opening" && method.name === "connection.open") this.#onOpen(method.arguments);
    else if (state === "open" && method.name === "connection.update-secret") this.#onUpdateSecret(method.arguments);
    else throw unexpected(method, state);
  }

  #onStartOk(args: Arguments<"connection.start-ok">): void {
    const { clientProperties, mechanism, response } = args;
    this.#introduction = { capabilities: capabilitiesOf(clientProperties), name: connectionName(clientProperties) };
    const { refusal } = this.#peer;
    if (refusal !== undefined) throw new AmqpError("NOT_ALLOWED", refusal.message);
    this.#claim = readClaim(mechanism, response, this.#peer);
    // Nobody can say yet who may log in where: that waits for the virtual host.
    if (this.#broker.loginsDifferByHost) this.#tune();
    else void this.#logIn(this.#claim, undefined, (login) => this.#tune(login));
  }

  #tune(login?: Login): void {
    this.#login = login;
    this.#state = "tuning";
    writeMethod(this.#output, 0, "connection.tune", tuneArguments(this.#options));
  }

  /** Goes on with `then` once it is known who this is. */
  async #logIn(claim: Claim, host: string | undefined, then: (login: Login) => void): Promise<void> {
    this.#state = "logging-in";
    this.#pause();
    try {
      const login = await this.#broker.login({ ...claim, peer: this.#peer, host });
      if (this.#state !== "logging-in") return;
      this.#claim = undefined;
      then(login);
      this.#goOn();
    } catch (error) {
      this.#refuseLogin(error);
    }
  }

  /** Clients that do not say that they understand are told nothing (amqp091 connection.start-ok). */
  #refuseLogin(error: unknown): void {
    if (this.#state !== "logging-in") return;
    if (!(error instanceof BrokerError) || this.#introduction.capabilities.authenticationClose) {
      this.#fail(error);
      return;
    }
    this.#reason = error.message;
    this.#hangUp();
  }

  #onTuneOk(args: Arguments<"connection.tune-ok">): void {
    const tuning = agreeOn(args, this.#options);
    this.#tuning = tuning;
    this.#decoder.agree(tuning.maxFrameBytes);
    if (tuning.heartbeat > 0) {
      const intervalMs = tuning.heartbeat * 1000;
      this.#heartbeat = new HeartBeat(this.#broker.clock, this.#peer, {
        sendMs: intervalMs,
        silenceMs: intervalMs * SILENT_INTERVALS,
        beat: () => writeHeartbeat(this.#output),
        dead: (silentMs) => {
          // Nobody is there to read why.
          this.#reason = `no heartbeat for ${Math.round(silentMs / 1000)} s (one every ${tuning.heartbeat} s was agreed on)`;
          this.#hangUp();
        },
      });
      this.#reading.watch(this.#heartbeat);
    }
    this.#state = "opening";
  }

  #onOpen({ virtualHost }: Arguments<"connection.open">): void {
    const login = this.#login;
    const claim = this.#claim;
    const host = this.#broker.host(virtualHost);
    if (host === undefined) throw new AmqpError("NOT_ALLOWED", `vhost '${virtualHost}' not found (hosts)`);
    if (login !== undefined) this.#enter(host, virtualHost, login);
    else if (claim !== undefined) void this.#logIn(claim, host.name, (known) => this.#enter(host, virtualHost, known));
  }

  /** `asked` is what the client calls the virtual host. */
  #enter(host: VirtualHost, asked: string, login: Login): void {
    const tuning = this.#tuning;
    if (tuning === undefined) throw new RangeError("Opened before tuning");
    const { capabilities, name } = this.#introduction;
    const client = asNotAllowed(() =>
      host.connect({ peer: this.#peer, login, protocol: "AMQP 0-9-1", clientId: name, listener: this }),
    );
    this.#timeout?.cancel();
    this.#timeout = undefined;
    this.#connection = new Connection({
      client,
      output: this.#output,
      writer: new DeliveryWriter(this.#output, this.#wire, tuning.maxFrameBytes, () => this.#broker.clock.now()),
      options: this.#options,
      capabilities,
      random: this.#broker.random,
      hostName: asked,
      relieved: () => this.#goOn(),
    });
    this.#connection.now = this.#broker.clock.now();
    this.#channels = new Channels(this.#connection, this.#broker.clock, tuning.channelMax, {
      fail: (error, code) => this.#fail(error, code),
      wait: () => this.#pause(),
    });
    this.#peer.identify({
      protocol: "AMQP 0-9-1",
      ...(client.user === undefined ? {} : { user: client.user }),
      ...(name === undefined ? {} : { clientId: name }),
    });
    this.#state = "open";
    writeMethod(this.#output, 0, "connection.open-ok", {});
  }

  /** RabbitMQ's way to log in anew before a token expires. */
  #onUpdateSecret({ newSecret }: Arguments<"connection.update-secret">): void {
    this.#renewing = true;
    this.#pause();
    void this.#renewLogin(newSecret.toString());
  }

  async #renewLogin(password: string): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      const { client } = connection;
      const credentials = { user: client.user, password, peer: this.#peer, host: client.host.name };
      const login = await this.#broker.login(credentials);
      if (this.#state !== "open") return;
      client.renewLogin(login);
      connection.logins++;
      writeMethod(this.#output, 0, "connection.update-secret-ok", {});
      this.#renewing = false;
      this.#goOn();
    } catch (error) {
      const refused = error instanceof BrokerError;
      this.#fail(refused ? new AmqpError("NOT_ALLOWED", `new secret was refused: ${error.message}`) : error);
    }
  }

  /** What the client has said so far is carried out first, and safe. */
  #onConnectionClose({ replyCode, replyText }: Arguments<"connection.close">): void {
    const said = replyText === "" ? "" : `: ${replyCode} ${replyText}`;
    this.#reason = `the client disconnected${said}`;
    const connection = this.#connection;
    const bye = (): void => {
      writeMethod(this.#output, 0, "connection.close-ok", {});
      this.#hangUp();
    };
    if (this.#state !== "open" || connection === undefined) {
      bye();
      return;
    }
    this.#state = "leaving";
    this.#heartbeat?.stop();
    this.#channels?.end();
    connection.whenSafe(bye);
  }

  #pause(): void {
    this.#announceBlock();
    this.#reading.pause();
  }

  /** Handles what was left and reads on, unless there still is a reason not to. */
  #goOn(): void {
    if (this.#listens && !this.#held) this.#reading.goOn();
  }

  get #held(): boolean {
    return this.#renewing || this.#connection?.busy === true || this.#channels?.waits === true;
  }

  #announceBlock(): void {
    const connection = this.#connection;
    if (connection?.client.blocked !== true || !connection.capabilities.blocked) return;
    if (this.#blockTimer !== undefined || this.#blockTold) return;
    this.#blockTimer = this.#broker.clock.after(BLOCKED_AFTER_MS, () => {
      this.#blockTimer = undefined;
      if (!connection.client.blocked || this.#state !== "open") return;
      this.#blockTold = true;
      writeMethod(this.#output, 0, "connection.blocked", { reason: connection.client.waitingOn });
    });
  }

  /** Something is wrong: says what in connection.close, and waits a little for the client to agree. */
  #fail(error: unknown, code = 0): void {
    if (this.#state === "ended" || this.#state === "closing") return;
    const greeted = this.#state !== "greeting";
    const refusal = refusalOf(error);
    // What is neither the peer's fault nor a refusal needs its stack in the log.
    this.#reason = refusal.fault && error instanceof Error ? (error.stack ?? error.message) : refusal.text;
    this.#end();
    if (!greeted) {
      this.#peer.close(this.#reason);
      return;
    }
    this.#state = "closing";
    writeMethod(this.#output, 0, "connection.close", {
      replyCode: refusal.code,
      replyText: refusal.text,
      classId: code >>> 16,
      methodId: code & 0xffff,
    });
    this.#timeout = this.#broker.clock.after(this.#options.closeTimeoutMs, () => this.#hangUp());
    this.#reading.resume();
  }

  #hangUp(): void {
    if (this.#state === "ended") return;
    this.#end();
    this.#peer.close(this.#reason);
  }

  #end(): void {
    this.#state = "ended";
    this.#timeout?.cancel();
    this.#blockTimer?.cancel();
    this.#heartbeat?.stop();
    // At once, so that nothing is delivered behind the last frame.
    this.#connection?.client.close();
  }
}

function unexpected({ name }: Method, state: State): AmqpError {
  return new AmqpError("COMMAND_INVALID", `unexpected method ${name} while the connection is ${state}`);
}

/** Whoever may not enter a virtual host is told so as RabbitMQ does. */
function asNotAllowed<T>(enter: () => T): T {
  try {
    return enter();
  } catch (refusal) {
    if (refusal instanceof BrokerError) throw new AmqpError("NOT_ALLOWED", refusal.message);
    throw refusal;
  }
}
