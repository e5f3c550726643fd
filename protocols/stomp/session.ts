import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import type { Timer } from "../../core/time/clock.ts";
import { HeartBeat } from "../../core/time/heart-beat.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Output } from "../../core/output.ts";
import { Reading } from "../../core/reading.ts";
import type { Route } from "../../core/routing/route.ts";
import {
  type CancelCause,
  type ClientListener,
  type EvictionCause,
  type Peer,
  ProtocolError,
  type Session,
} from "../../core/protocol.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { Decoder, encodeFrame, writeReceipt } from "./codec.ts";
import { type ConnectRequest, readConnect } from "./connect.ts";
import { encodeError, explain } from "./errors.ts";
import type { Version } from "./escape.ts";
import type { Frame } from "./frame.ts";
import { headerBit, headerNumber } from "./header-names.ts";
import type { StompOptions } from "./protocol.ts";
import { Sender } from "./sender.ts";
import type { StompSubscription, SubscriptionOwner } from "./subscription.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { SharedWire } from "./wire.ts";

/*
 *     greeting --CONNECT--> logging-in --login--> open --DISCONNECT--> leaving --receipts written--> ended
 *         \___________________\____________________\___ ERROR ____________________________________/
 */
type State = "greeting" | "logging-in" | "open" | "leaving" | "ended";

const RECEIPT = headerNumber("receipt");
const TRANSACTION = headerNumber("transaction");
const RECEIPT_BIT = headerBit("receipt");
const TRANSACTION_BIT = headerBit("transaction");
const LF = 10;
const NO_BODY = new Uint8Array(0);

/** What exists once a client is logged in. */
interface Connected {
  readonly client: Client;
  readonly sender: Sender;
  readonly subscriptions: Subscriptions;
}

/** The server's side of one STOMP connection. */
export class StompSession implements Session, ClientListener, SubscriptionOwner {
  readonly output: Output;
  readonly wire: SharedWire;
  version: Version = "1.0";
  readonly #peer: Peer;
  readonly #broker: Broker;
  readonly #options: StompOptions;
  readonly #decoder: Decoder;
  readonly #reading: Reading;
  readonly #transactions = new Map<string, Transaction>();
  #state: State = "greeting";
  #connected: Connected | undefined = undefined;
  #timeout: Timer | undefined;
  #heartBeat: HeartBeat | undefined = undefined;
  /** The receipt that the frame at hand asks for, as spelled. */
  #receipt: string | undefined = undefined;
  /** A new password or token is being checked. */
  #renewing = false;
  /** The receipt that its frame asks for. */
  #renewalReceipt: string | undefined = undefined;
  #unconfirmed = 0;
  #receiptsWaiting = 0;
  #stalled: StompSubscription[] = [];

  constructor(peer: Peer, broker: Broker, options: StompOptions, wire: SharedWire) {
    this.#peer = peer;
    this.#broker = broker;
    this.#options = options;
    this.wire = wire;
    this.output = peer.output;
    this.#decoder = new Decoder(options);
    this.#reading = new Reading(peer, {
      handle: () => this.#handleFrames(),
      listens: () => this.#state === "open",
    });
    const { connectTimeoutMs } = options;
    this.#timeout = broker.clock.after(connectTimeoutMs, () => {
      this.#fail(new ProtocolError(`No CONNECT frame within ${seconds(connectTimeoutMs)} (stomp.connect_timeout)`));
    });
  }

  receive(chunk: Buffer): void {
    if (this.#state === "leaving" || this.#state === "ended") return;
    this.#decoder.feed(chunk);
    if (!this.#reading.paused) this.#handleFrames();
  }

  drained(): void {
    this.#receiptsWaiting = 0;
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const subscription of stalled) {
      subscription.waiting = false;
      subscription.core?.ready();
    }
    this.#goOn();
  }

  shutdown(reason: string): void {
    this.#fail(new BrokerError("shutting-down", reason));
  }

  closed(): void {
    this.#end();
    this.#connected?.subscriptions.release();
  }

  confirmed(token: string | number): void {
    this.#unconfirmed--;
    if (this.#state === "ended") return;
    writeReceipt(this.output, String(token));
    if (this.output.full) this.#receiptsWaiting++;
    if (this.#state === "leaving") this.#leave();
  }

  unblocked(): void {
    this.#goOn();
  }

  routes(): Iterable<Route> {
    return this.#connected?.sender.routes() ?? [];
  }

  evicted(reason: string, cause?: EvictionCause): void {
    this.#failLater(reason, cause);
  }

  nextMessageId(): string {
    return this.#open().sender.intake.nextId();
  }

  stalled(subscription: StompSubscription): void {
    if (subscription.waiting) return;
    subscription.waiting = true;
    this.#stalled.push(subscription);
  }

  cancelled(subscription: StompSubscription, reason: string, cause: CancelCause | undefined): void {
    this.#failLater(`Subscription "${subscription.id}" was ended: ${reason}`, cause);
  }

  #handleFrames(): void {
    try {
      if (this.#connected !== undefined) this.#connected.sender.now = this.#broker.clock.now();
      while (!this.#reading.paused && (this.#state === "open" || this.#state === "greeting")) {
        const frame = this.#decoder.next();
        if (frame === undefined) return;
        this.#onFrame(frame);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onFrame(frame: Frame): void {
    // Read first: a SEND may write over its own headers.
    this.#receipt = (frame.known & RECEIPT_BIT) === 0 ? undefined : frame.spelled(RECEIPT);
    if (this.#connected === undefined) {
      this.#onGreeting(frame);
      return;
    }
    const { client, sender } = this.#connected;
    if (frame.command === "SEND") sender.onSend(frame, this.#transactionOf(frame));
    else this.#onOther(frame, this.#connected);
    if (this.#receipt !== undefined) {
      if (this.#renewing) this.#renewalReceipt = this.#receipt;
      else this.#confirm(client, this.#receipt);
    }
    this.#receipt = undefined;
    if (this.#state === "leaving") this.#leave();
    else if (client.blocked || this.#receiptsWaiting > this.#options.maxReceiptsWaiting) this.#reading.pause();
  }

  #onGreeting(frame: Frame): void {
    if (frame.command !== "CONNECT" && frame.command !== "STOMP") {
      throw new ProtocolError(`The first frame is ${frame.command}; expected CONNECT or STOMP`);
    }
    // stomp12 "receipt": any client frame other than CONNECT.
    this.#receipt = undefined;
    this.#onConnect(readConnect(frame));
  }

  #onConnect(request: ConnectRequest): void {
    this.#timeout?.cancel();
    this.#timeout = undefined;
    const { refusal } = this.#peer;
    if (refusal !== undefined) throw refusal;
    const host = this.#broker.host(request.host ?? this.#peer.virtualHost);
    if (host === undefined) {
      throw new BrokerError("not-found", `There is no virtual host "${request.host ?? ""}" (hosts)`);
    }
    this.#state = "logging-in";
    this.#reading.pause();
    void this.#login(host, request);
  }

  async #login(host: VirtualHost, request: ConnectRequest): Promise<void> {
    try {
      const { login: user, passcode: password } = request;
      const login = await this.#broker.login({ user, password, peer: this.#peer, host: host.name });
      if (this.#state !== "logging-in") return;
      const client = host.connect({
        peer: this.#peer,
        login,
        protocol: `STOMP ${request.version}`,
        clientId: request.clientId,
        listener: this,
      });
      this.#welcome(client, request);
    } catch (error) {
      this.#fail(error);
    }
  }

  #confirm(client: Client, receipt: string): void {
    this.#unconfirmed++;
    client.confirm(receipt);
  }

  /** The client logs in anew, before its login expires or to be in other groups; nothing else is handled meanwhile. */
  #renew(secret: string): void {
    const connected = this.#open();
    this.#renewing = true;
    this.#reading.pause();
    void this.#renewLogin(connected, secret);
  }

  async #renewLogin({ client, sender }: Connected, password: string): Promise<void> {
    try {
      const { user, host } = client;
      const login = await this.#broker.login({ user, password, peer: this.#peer, host: host.name });
      if (this.#state !== "open") return;
      client.renewLogin(login);
      sender.forgetRoutes();
      const receipt = this.#renewalReceipt;
      this.#renewing = false;
      this.#renewalReceipt = undefined;
      if (receipt !== undefined) this.#confirm(client, receipt);
      this.#goOn();
    } catch (error) {
      this.#receipt = this.#renewalReceipt;
      this.#fail(error);
    }
  }

  #welcome(client: Client, request: ConnectRequest): void {
    const { version } = request;
    const { heartBeatSendMs, heartBeatReceiveMs, heartBeatGrace } = this.#options;
    this.version = version;
    this.#decoder.agree(version);
    this.#connected = {
      client,
      sender: new Sender(client, this.wire, version, (secret) => this.#renew(secret)),
      subscriptions: new Subscriptions(client, this, this.#options),
    };
    this.#peer.identify({
      protocol: `STOMP ${version}`,
      ...(client.user === undefined ? {} : { user: client.user }),
      ...(request.clientId === undefined ? {} : { clientId: request.clientId }),
    });
    const headers: [string, string][] = [
      ["version", version],
      ["session", client.id],
      ["server", `delos/${this.#broker.version} ${this.#broker.name}`],
      ["host-id", client.host.name],
    ];
    if (version !== "1.0") headers.push(["heart-beat", `${heartBeatSendMs},${heartBeatReceiveMs}`]);
    if (client.user !== undefined) headers.push(["user-name", client.user]);
    // So that the client can renew it in time.
    if (client.login.expiresAt !== undefined) headers.push(["login-expires", String(client.login.expiresAt)]);
    this.#write(encodeFrame("CONNECTED", headers, NO_BODY, version));
    // stomp12 "Heart-beating": the slower of what one can do and the other wants; 0 on either side is none.
    const sendMs = request.wantsMs === 0 || heartBeatSendMs === 0 ? 0 : Math.max(request.wantsMs, heartBeatSendMs);
    const receiveMs =
      request.canSendMs === 0 || heartBeatReceiveMs === 0 ? 0 : Math.max(request.canSendMs, heartBeatReceiveMs);
    if (sendMs > 0 || receiveMs > 0) {
      this.#heartBeat = new HeartBeat(this.#broker.clock, this.#peer, {
        sendMs,
        silenceMs: receiveMs * heartBeatGrace,
        beat: () => this.#beat(),
        dead: (silentMs) => {
          this.#fail(
            new ProtocolError(`no heart-beat for ${seconds(silentMs)} (asked for every ${seconds(receiveMs)})`),
          );
        },
      });
      this.#reading.watch(this.#heartBeat);
    }
    this.#state = "open";
    this.#goOn();
  }

  #onOther(frame: Frame, { client, subscriptions }: Connected): void {
    switch (frame.command) {
      case "ACK":
        subscriptions.onAck(frame, "accepted", this.#transactionOf(frame));
        return;
      case "NACK":
        if (this.version === "1.0") throw new ProtocolError("NACK is not a command of STOMP 1.0");
        subscriptions.onAck(frame, "failed", this.#transactionOf(frame));
        return;
      case "SUBSCRIBE":
        subscriptions.onSubscribe(frame);
        return;
      case "UNSUBSCRIBE":
        subscriptions.onUnsubscribe(frame);
        return;
      case "BEGIN":
        this.#onBegin(frame, client);
        return;
      case "COMMIT":
        this.#endTransaction(frame).commit();
        return;
      case "ABORT":
        this.#endTransaction(frame).abort();
        return;
      case "DISCONNECT":
        this.#onDisconnect(subscriptions);
        return;
      case "CONNECT":
      case "STOMP":
        throw new ProtocolError(`A second ${frame.command} frame; the session was opened already`);
      default:
        throw new ProtocolError(`${frame.command} is a frame of servers; a client must not send it`);
    }
  }

  #onBegin(frame: Frame, client: Client): void {
    const name = transactionName(frame);
    if (this.#transactions.has(name)) throw new ProtocolError(`Transaction "${name}" was begun already`);
    const { maxTransactions } = this.#options;
    if (this.#transactions.size >= maxTransactions) {
      throw new ProtocolError(
        `This connection has ${maxTransactions} open transactions; no more are allowed (stomp.max_transactions)`,
      );
    }
    this.#transactions.set(name, client.begin());
  }

  #endTransaction(frame: Frame): Transaction {
    const name = transactionName(frame);
    const transaction = this.#begun(frame, name);
    this.#transactions.delete(name);
    return transaction;
  }

  #transactionOf(frame: Frame): Transaction | undefined {
    if ((frame.known & TRANSACTION_BIT) === 0) return undefined;
    return this.#begun(frame, transactionName(frame));
  }

  #begun(frame: Frame, name: string): Transaction {
    const transaction = this.#transactions.get(name);
    if (transaction !== undefined) return transaction;
    throw new ProtocolError(`${frame.command} names transaction "${name}", which was not begun or has ended`);
  }

  #onDisconnect(subscriptions: Subscriptions): void {
    // Nothing may be delivered to a client that has said goodbye.
    subscriptions.endAll();
    for (const transaction of this.#transactions.values()) transaction.abort();
    this.#transactions.clear();
    this.#heartBeat?.stop();
    this.#state = "leaving";
  }

  /** Closes once every receipt is written. */
  #leave(): void {
    if (this.#unconfirmed > 0 || this.#state !== "leaving") return;
    this.#end();
    this.#peer.close("the client disconnected");
  }

  /** Handles what was left and reads on, unless there still is a reason not to. */
  #goOn(): void {
    if (this.#state === "open" && !this.#held()) this.#reading.goOn();
  }

  #held(): boolean {
    return (
      this.#renewing ||
      this.#connected?.client.blocked === true ||
      this.#receiptsWaiting > this.#options.maxReceiptsWaiting
    );
  }

  #open(): Connected {
    if (this.#connected === undefined) throw new ProtocolError("No client is logged in");
    return this.#connected;
  }

  #beat(): void {
    const at = this.output.reserve(1);
    this.output.buffer[at] = LF;
    this.output.advance(at + 1);
  }

  #write(bytes: Buffer): void {
    const at = this.output.reserve(bytes.length);
    this.output.advance(at + bytes.copy(this.output.buffer, at));
  }

  /** The core is in the middle of something: closing the client now would change it under its hands. */
  #failLater(reason: string, cause: EvictionCause | CancelCause | undefined): void {
    const refused = cause === "not-authorized";
    this.#broker.clock.endOfTurn(() =>
      this.#fail(refused ? new BrokerError(cause, reason) : new ProtocolError(reason)),
    );
  }

  /** Says in an ERROR frame why, and closes. */
  #fail(error: unknown): void {
    if (this.#state === "ended") return;
    const version = this.#connected === undefined ? undefined : this.version;
    const known = error instanceof ProtocolError || error instanceof BrokerError;
    const message = known ? error.message : "The broker failed; its log says why";
    this.#end();
    this.#write(encodeError(message, known ? explain(error) : `${message}\n`, this.#receipt, version));
    // What is neither the peer's fault nor a refusal needs its stack in the log.
    const reason = known ? message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#peer.close(reason, this.#options.errorCloseDelayMs);
  }

  #end(): void {
    this.#state = "ended";
    this.#timeout?.cancel();
    this.#heartBeat?.stop();
    this.#stalled = [];
    // At once, so that nothing is delivered behind the last frame.
    this.#connected?.client.close();
  }
}

function transactionName(frame: Frame): string {
  const name = frame.spelled(TRANSACTION);
  if (name === undefined) throw new ProtocolError(`A ${frame.command} frame has no transaction header`);
  return name;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
