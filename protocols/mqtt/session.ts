import type { Login } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import type { Timer } from "../../core/time/clock.ts";
import { HeartBeat } from "../../core/time/heart-beat.ts";
import type { Output } from "../../core/output.ts";
import type { ClientListener, EvictionCause, Peer, Session } from "../../core/protocol.ts";
import { Reading } from "../../core/reading.ts";
import type { Route } from "../../core/routing/route.ts";
import type { HostSession } from "../../core/sessions/session.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { Answers } from "./answers.ts";
import { Authentication } from "./authentication.ts";
import { Decoder } from "./codec.ts";
import type { SharedWire } from "./delivery-writer.ts";
import { PINGRESP_BYTES, writePingresp } from "./encode.ts";
import {
  connackReasonCode,
  connackReturnCode,
  MqttError,
  protocolError,
  REASON,
  type ReasonCode,
  type Version,
} from "./errors.ts";
import {
  checkConnect,
  checkName,
  expiryMs,
  expiryOf,
  expiryOfLogin,
  keepAliveOf,
  offerTo,
  versionName,
  willOf,
} from "./greeting.ts";
import { Inbox } from "./inbox.ts";
import type { Auth, Connect, Control, Disconnect, Packet, Subscribe, Unsubscribe } from "./packet.ts";
import type { Properties } from "./property-writer.ts";
import type { MqttOptions } from "./protocol.ts";
import { Publisher } from "./publisher.ts";
import { Receiver } from "./receiver.ts";
import { refusalOf } from "./refusal.ts";
import { encodeStatement, type Statement } from "./statement.ts";
import { subscribe, unsubscribe } from "./subscriptions.ts";

/*
 *     greeting --CONNECT--> logging-in --login--> open --DISCONNECT, or anything wrong--> ended
 *         |                                   ^
 *         +-- CONNECT with a method --> authenticating
 */
type State = "greeting" | "authenticating" | "logging-in" | "open" | "ended";

/** Sessions of MQTT among all that a virtual host has. */
const SESSION_PREFIX = "mqtt/";
/** What a client is told that has to go, where there is more to say than that. */
const EVICTIONS: ReadonlyMap<EvictionCause | undefined, ReasonCode> = new Map<EvictionCause | undefined, ReasonCode>([
  // [MQTT-3.1.4-3]
  ["taken-over", REASON.sessionTakenOver],
  ["too-fast", REASON.messageRateTooHigh],
  ["expired", REASON.notAuthorized],
  ["not-authorized", REASON.notAuthorized],
]);
/** What exists once a client is logged in. */
interface Connected {
  readonly client: Client;
  readonly host: HostSession;
  /** Whether the session was there before this connection. */
  readonly resumed: boolean;
  readonly publisher: Publisher;
  readonly inbox: Inbox;
  readonly answers: Answers;
  readonly receiver: Receiver;
}

/** The server's side of one MQTT connection. */
export class MqttSession implements Session, ClientListener {
  readonly #peer: Peer;
  readonly #broker: Broker;
  readonly #options: MqttOptions;
  readonly #wire: SharedWire;
  readonly #output: Output;
  readonly #decoder: Decoder;
  readonly #reading: Reading;
  #version: Version = 4;
  #state: State = "greeting";
  #connected: Connected | undefined = undefined;
  /** Whether the client was told that it is connected: before, there is no DISCONNECT but a CONNACK [MQTT-3.14.0-1]. */
  #greeted = false;
  #timeout: Timer | undefined;
  #keepAlive: HeartBeat | undefined = undefined;
  #authentication: Authentication | undefined = undefined;
  #maxPacketBytes = Number.POSITIVE_INFINITY;
  #problemInformation = true;

  constructor(peer: Peer, broker: Broker, options: MqttOptions, wire: SharedWire) {
    this.#peer = peer;
    this.#broker = broker;
    this.#options = options;
    this.#wire = wire;
    this.#output = peer.output;
    this.#decoder = new Decoder(options);
    this.#reading = new Reading(peer, {
      handle: () => this.#handlePackets(),
      listens: () => this.#state === "open",
    });
    const { connectTimeoutMs } = options;
    this.#timeout = broker.clock.after(connectTimeoutMs, () => {
      this.#fail(protocolError(`No CONNECT within ${connectTimeoutMs / 1000} s (mqtt.connect_timeout)`));
    });
  }

  receive(chunk: Buffer): void {
    if (this.#state === "ended") return;
    this.#decoder.feed(chunk);
    if (!this.#reading.paused) this.#handlePackets();
  }

  drained(): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    connected.answers.unread = 0;
    connected.receiver.drained();
    this.#goOn();
  }

  shutdown(reason: string): void {
    this.#leave(REASON.serverShuttingDown, reason);
  }

  closed(): void {
    this.#end();
  }

  confirmed(token: string | number): void {
    this.#connected?.answers.confirmed(Number(token));
  }

  unblocked(): void {
    this.#goOn();
  }

  routes(): Iterable<Route> {
    return this.#connected?.publisher.routes() ?? [];
  }

  evicted(reason: string, cause?: EvictionCause): void {
    this.#leave(EVICTIONS.get(cause) ?? REASON.administrativeAction, reason);
  }

  #handlePackets(): void {
    try {
      if (this.#connected !== undefined) this.#connected.publisher.now = this.#broker.clock.now();
      while (!this.#reading.paused && this.#state !== "logging-in" && this.#state !== "ended") {
        const packet = this.#decoder.next();
        if (packet === undefined) return;
        this.#onPacket(packet);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onPacket(packet: Packet): void {
    const connected = this.#connected;
    if (connected === undefined) {
      if (packet.type === "control" && packet.control !== undefined) this.#onOpening(packet.control);
      return;
    }
    switch (packet.type) {
      case "publish":
        this.#onPublish(packet, connected);
        break;
      case "puback":
        connected.receiver.onPuback(packet.packetId, packet.reasonCode);
        return;
      case "pubrec":
        connected.receiver.onPubrec(packet.packetId, packet.reasonCode);
        break;
      case "pubrel":
        this.#onPubrel(packet, connected);
        break;
      case "pubcomp":
        connected.receiver.onPubcomp(packet.packetId);
        return;
      case "pingreq":
        // [MQTT-3.12.4-1]
        this.#pong();
        break;
      case "control":
        if (packet.control !== undefined) this.#onControl(packet.control, connected);
        break;
    }
    if (this.#state !== "open") return;
    if (connected.client.blocked || connected.answers.unread > this.#options.maxAcksWaiting) this.#reading.pause();
  }

  #onPublish(packet: Packet, { answers, publisher, inbox }: Connected): void {
    const { qos, packetId: id } = packet;
    if (qos === 2 && inbox.has(id)) {
      answers.acknowledge("pubrec", id, REASON.success);
      return;
    }
    if (qos > 0) inbox.begin();
    let code: ReasonCode = REASON.success;
    try {
      publisher.publish(packet);
    } catch (error) {
      code = this.#refused(error);
    }
    if (qos === 1) {
      // [MQTT-4.3.2-4]
      answers.acknowledge("puback", id, code);
    } else if (qos === 2) {
      if (code < 0x80) inbox.receive(id);
      else inbox.end();
      answers.acknowledge("pubrec", id, code);
    }
  }

  #onPubrel({ packetId: id }: Packet, { answers, inbox, resumed }: Connected): void {
    const known = inbox.release(id);
    // [MQTT-4.3.3-11]: one that comes again after a reconnect is no error (mqtt5 3.7.2.1), but clients take it for one.
    const code = known || resumed ? REASON.success : REASON.packetIdentifierNotFound;
    answers.acknowledge("pubcomp", id, code);
  }

  #onControl(control: Control, connected: Connected): void {
    switch (control.type) {
      case "subscribe":
        this.#onSubscribe(control, connected);
        return;
      case "unsubscribe":
        this.#onUnsubscribe(control, connected);
        return;
      case "disconnect":
        this.#onDisconnect(control, connected);
        return;
      case "auth":
        this.#onAuth(control);
        return;
      case "connect":
        throw protocolError("A second CONNECT; only one is allowed");
    }
  }

  /** What may come before the client is connected; the decoder lets nothing else through. */
  #onOpening(control: Control): void {
    if (control.type === "connect") this.#onConnect(control);
    else if (control.type === "auth") this.#onAuth(control);
    else this.#hangUp();
  }

  #onAuth(auth: Auth): void {
    // [MQTT-4.12.0-7]
    if (this.#authentication === undefined) {
      throw protocolError("An AUTH, although the CONNECT named no authentication method");
    }
    this.#authentication.onAuth(auth);
  }

  #onConnect(connect: Connect): void {
    this.#timeout?.cancel();
    this.#timeout = undefined;
    this.#version = connect.version;
    this.#problemInformation = connect.properties.number("requestProblemInformation") !== 0;
    this.#maxPacketBytes = connect.properties.number("maximumPacketSize") ?? Number.POSITIVE_INFINITY;
    checkConnect(connect, this.#options, this.#peer.refusal);
    const host = this.#broker.host(this.#peer.virtualHost);
    if (host === undefined) throw new MqttError(REASON.serverUnavailable, "There is no virtual host");
    const method = connect.properties.text("authenticationMethod");
    if (method !== undefined) {
      this.#authenticate(method, host, connect);
      return;
    }
    this.#state = "logging-in";
    this.#reading.pause();
    void this.#login(host, connect);
  }

  #authenticate(method: string, host: VirtualHost, connect: Connect): void {
    const authentication = new Authentication(method, {
      broker: this.#broker,
      peer: this.#peer,
      host: host.name,
      timeoutMs: this.#options.connectTimeoutMs,
      say: (code, properties) => this.#say({ type: "auth", code, properties }),
      accepted: (login, proof) => {
        if (this.#connected !== undefined) {
          this.#renew(login, this.#connected, proof);
          return;
        }
        checkName(connect, login);
        this.#reading.pause();
        this.#enter(login, host, connect, proof);
      },
      failed: (error) => this.#fail(error),
    });
    this.#authentication = authentication;
    this.#state = "authenticating";
    this.#decoder.authenticate();
    authentication.begin(connect.properties.bytes("authenticationData"));
  }

  /** The client has authenticated itself once more. */
  #renew(login: Login, { client, publisher }: Connected, proof: Properties): void {
    client.renewLogin(login);
    publisher.forgetRoutes();
    this.#say({ type: "auth", code: REASON.success, properties: { ...proof, ...expiryOfLogin(login) } });
  }

  async #login(virtualHost: VirtualHost, connect: Connect): Promise<void> {
    try {
      const { username: user, password } = connect;
      const credentials = { user, password: password?.toString(), peer: this.#peer, host: virtualHost.name };
      const login = await this.#broker.login(credentials);
      if (this.#state === "logging-in") this.#enter(login, virtualHost, connect);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** `proof`: what CONNACK says of the authentication. */
  #enter(login: Login, virtualHost: VirtualHost, connect: Connect, proof: Properties = {}): void {
    try {
      const assigned = connect.clientId === "" ? this.#broker.random.token() : undefined;
      const clientId = assigned ?? connect.clientId;
      const client = virtualHost.connect({
        peer: this.#peer,
        login,
        protocol: `MQTT ${versionName(this.#version)}`,
        clientId,
        listener: this,
      });
      try {
        this.#welcome(client, virtualHost, { connect, clientId, assigned, proof });
      } catch (error) {
        client.close();
        throw error;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #welcome(
    client: Client,
    virtualHost: VirtualHost,
    {
      connect,
      clientId,
      assigned,
      proof,
    }: { connect: Connect; clientId: string; assigned: string | undefined; proof: Properties },
  ): void {
    const version = this.#version;
    const { maxInflight } = this.#options;
    this.#decoder.agree(version);
    const inbox = new Inbox(version === 5 ? this.#options.receiveMaximum : Number.POSITIVE_INFINITY);
    const answers = new Answers(client, this.#output, version, inbox);
    const receiver = new Receiver({
      output: this.#output,
      wire: this.#wire,
      version,
      now: () => this.#broker.clock.now(),
      maxInflight: Math.min(connect.properties.number("receiveMaximum") ?? 0xffff, maxInflight),
      maxPacketBytes: this.#maxPacketBytes,
      topicAliases: Math.min(connect.properties.number("topicAliasMaximum") ?? 0, this.#options.clientTopicAliases),
      cancelled: (reason) => this.#broker.clock.endOfTurn(() => this.#leave(REASON.administrativeAction, reason)),
      release: (id) => answers.acknowledge("pubrel", id, REASON.success),
      whenSafe: (then) => answers.whenSafe(then),
      later: (task) => this.#broker.clock.endOfTurn(task),
    });
    const publisher = new Publisher(client, this.#wire, version, this.#options);
    publisher.now = this.#broker.clock.now();
    // Before the session is opened: a CONNECT that is refused takes over nothing.
    const will = willOf(connect, publisher.intake, this.#options, publisher.now);
    const expiry = expiryOf(connect, this.#options);
    const { session, present } = virtualHost.sessions.open(client, {
      id: SESSION_PREFIX + clientId,
      clean: connect.cleanStart,
      expiryMs: expiry,
      consumer: receiver,
      sharedConsumer: (share) => receiver.forShare(share),
      graceMs: this.#options.slowSubscriberGraceMs,
    });
    inbox.resume(session);
    this.#connected = { client, host: session, resumed: present, publisher, inbox, answers, receiver };
    client.will = will;
    this.#peer.identify({
      protocol: `MQTT ${versionName(version)}`,
      clientId,
      ...(client.user === undefined ? {} : { user: client.user }),
    });
    const keepAlive = keepAliveOf(connect, this.#options);
    this.#state = "open";
    // The session is on disk by then, if it is to outlive the connection.
    answers.whenSafe(() => {
      this.#greeted = true;
      this.#say({
        type: "connack",
        // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
        sessionPresent: version === 3 ? false : present,
        code: REASON.success,
        properties: {
          ...offerTo(connect, this.#options, { assigned, keepAlive, expiry }),
          ...proof,
          ...expiryOfLogin(client.login),
        },
      });
      receiver.resume(client, session);
      session.start();
      if (keepAlive > 0) {
        this.#keepAlive = this.#watch(keepAlive);
        this.#reading.watch(this.#keepAlive);
      }
      this.#goOn();
    });
  }

  /** Ends the session when its client says nothing for one and a half times its keep alive [MQTT-3.1.2-22]. */
  #watch(keepAlive: number): HeartBeat {
    return new HeartBeat(this.#broker.clock, this.#peer, {
      sendMs: 0,
      silenceMs: keepAlive * 1500,
      // The client is the one to show that it is alive.
      beat: () => {},
      dead: (silentMs) => {
        const text = `Nothing for ${Math.round(silentMs / 1000)} s, keep alive ${keepAlive} s`;
        this.#fail(new MqttError(REASON.keepAliveTimeout, text));
      },
    });
  }

  #onSubscribe(packet: Subscribe, { answers, host }: Connected): void {
    const codes = subscribe(packet, host, this.#version, this.#options);
    // [MQTT-3.8.4-1]
    answers.whenSafe(() => this.#say({ type: "suback", packetId: packet.packetId, codes }));
  }

  #onUnsubscribe(packet: Unsubscribe, { answers, host }: Connected): void {
    const codes = unsubscribe(packet, host);
    // [MQTT-3.10.4-4] [MQTT-3.10.4-5]
    answers.whenSafe(() => this.#say({ type: "unsuback", packetId: packet.packetId, codes }));
  }

  #onDisconnect({ reasonCode, properties }: Disconnect, { client, host }: Connected): void {
    const seconds = properties.number("sessionExpiryInterval");
    if (seconds !== undefined) {
      // [MQTT-3.14.2-2]: a session that was to end with the connection stays so.
      if (host.expiryMs === 0 && seconds !== 0) {
        throw protocolError("The session expiry interval was 0 in CONNECT and is not in DISCONNECT");
      }
      host.expiryMs = expiryMs(seconds, this.#options);
    }
    // [MQTT-3.14.4-3]
    if (reasonCode === REASON.success) client.will = undefined;
    this.#hangUp();
  }

  #hangUp(): void {
    this.#end();
    this.#peer.close("the client disconnected");
  }

  /** What a message was refused for; other errors are thrown on. */
  #refused(error: unknown): ReasonCode {
    const { reasonCode, fault } = refusalOf(error);
    // What breaks the protocol ends the connection.
    if (fault || error instanceof MqttError) throw error;
    // [MQTT-3.3.5-2]: before 5.0 a message is acknowledged or the connection closed. Who may not send is told so by
    // nothing but silence; who could send again is not to think that it was kept.
    if (this.#version !== 5 && reasonCode !== REASON.notAuthorized) throw error;
    return reasonCode;
  }

  #pong(): void {
    // First, for it may change the buffer.
    const at = this.#output.reserve(PINGRESP_BYTES);
    this.#output.advance(writePingresp(this.#output.buffer, at));
  }

  #say(statement: Statement): void {
    const bytes = encodeStatement(statement, this.#version, this.#maxPacketBytes);
    if (bytes === undefined) return;
    const at = this.#output.reserve(bytes.length);
    this.#output.advance(at + bytes.copy(this.#output.buffer, at));
  }

  /** Handles what was left and reads on, unless there still is a reason not to. */
  #goOn(): void {
    const connected = this.#connected;
    if (connected === undefined || this.#state !== "open" || connected.client.blocked) return;
    if (connected.answers.unread <= this.#options.maxAcksWaiting) this.#reading.goOn();
  }

  /** Something is wrong: says what, where the version has words for it, and closes [MQTT-4.13.1-1] [MQTT-4.13.2-1]. */
  #fail(error: unknown): void {
    const { reasonCode, text, fault } = refusalOf(error);
    // What is neither the peer's fault nor a refusal needs its stack in the log.
    const reason = fault && error instanceof Error ? (error.stack ?? error.message) : text;
    this.#leave(reasonCode, fault ? reason : text, fault ? "The broker failed; its log says why" : text);
  }

  #leave(reasonCode: ReasonCode, reason: string, told = reason): void {
    if (this.#state === "ended") return;
    const greeted = this.#greeted;
    const version = greeted ? this.#version : (this.#decoder.askedVersion ?? this.#version);
    this.#version = version;
    const properties = {
      reasonString: this.#problemInformation ? told : undefined,
      serverReference: isRedirection(reasonCode) ? this.#options.redirect?.reference || undefined : undefined,
    };
    this.#end();
    if (version === 5) {
      if (greeted) this.#say({ type: "disconnect", code: reasonCode, properties });
      else if (this.#decoder.askedVersion !== undefined) {
        this.#say({ type: "connack", sessionPresent: false, code: connackReasonCode(reasonCode), properties });
      }
    } else if (!greeted && this.#decoder.askedVersion !== undefined) {
      const code = connackReturnCode(reasonCode);
      if (code !== undefined) this.#say({ type: "connack", sessionPresent: false, code });
    } else if (!greeted && reasonCode === REASON.unsupportedProtocolVersion) {
      this.#say({ type: "connack", sessionPresent: false, code: 1 });
    }
    this.#peer.close(reason);
  }

  #end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#timeout?.cancel();
    this.#keepAlive?.stop();
    this.#authentication?.stop();
    this.#connected?.answers.stop();
    // At once, so that nothing is delivered behind the last packet.
    this.#connected?.client.close();
  }
}

function isRedirection(code: ReasonCode): boolean {
  return code === REASON.useAnotherServer || code === REASON.serverMoved;
}
