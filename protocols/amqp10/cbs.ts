/*
 * Claims-based security (OASIS AMQP CBS 1.0, as its drafts and the clients have it): the node $cbs takes tokens, and the
 * connection goes on with the login of the newest one.
 *
 *     peer -> $cbs     { operation: put-token, type: jwt, name: anything }, the token as its value; accepted when it has come
 *     $cbs -> peer     { status-code: 202 }, with the request's message-id as correlation-id; or 401 and why
 *
 * Nothing else is handled while a token is checked. A peer without a link for answers has the one for tokens ended when a token
 * is refused; the login that there was counts on until its own end.
 */
import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import { BrokerError, type ErrorCode } from "../../core/errors.ts";
import type { Endpoint, Link } from "./endpoint.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { ABSENT, type FlowFields } from "./frame.ts";
import { Payload } from "./payload.ts";
import type { Attach, DeliveryState } from "./performatives.ts";
import { Reader } from "./reader.ts";
import type { Sink } from "./receiver.ts";
import { PROPERTY, SECTION, Sections } from "./sections.ts";
import { Scalar, type Value } from "./values.ts";
import { Writer } from "./writer.ts";

/** The address of the node. */
export const CBS = "$cbs";

/** Answers that wait for credit. */
const MOST_WAITING = 16;
const ACCEPTED = 202;
const REFUSED = 401;
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = { throttled: 429, "not-authorized": 403 };

/** Whether anybody can log in by a token. */
export function takesTokens({ mechanisms }: Broker): boolean {
  return mechanisms.includes("OAUTHBEARER");
}

/** A token that has come. */
interface TokenRequest {
  readonly token: string;
  readonly messageId: Value;
  readonly replyTo: Value;
}

/** What the node needs of its connection. */
export interface TokenNodeOptions {
  readonly broker: Broker;
  readonly client: Client;
  /** Nothing else is to be handled until `goOn`. */
  readonly wait: () => void;
  readonly goOn: () => void;
  /** Ends the connection. */
  readonly fail: (error: unknown) => void;
}

/** The node $cbs as one connection has it. */
export class TokenNode {
  /** A token is checked. */
  checking = false;
  readonly #options: TokenNodeOptions;
  readonly #replies = new Set<ReplyLink>();

  constructor(options: TokenNodeOptions) {
    this.#options = options;
  }

  /** ATTACH of a link on which the peer wants the answers. */
  attachReplies(endpoint: Endpoint, attach: Attach, handle: number): void {
    const link: ReplyLink = new ReplyLink(endpoint, attach, handle, () => this.#replies.delete(link));
    this.#replies.add(link);
    endpoint.add(link);
    const { name, source, target, rcvSettleMode } = attach;
    endpoint.say({
      type: "attach",
      name,
      handle,
      role: false,
      sndSettleMode: 1,
      rcvSettleMode,
      source: { type: "source", ...source, address: CBS },
      target: target?.type === "target" ? target : { type: "target" },
      initialDeliveryCount: 0,
    });
  }

  /** What takes the tokens of a link; `fail` ends that. */
  sink(fail: (error: unknown) => void): Sink {
    return new TokenSink((request) => void this.#put(request, fail));
  }

  async #put({ token, messageId, replyTo }: TokenRequest, fail: (error: unknown) => void): Promise<void> {
    const { client, wait, goOn } = this.#options;
    this.checking = true;
    wait();
    try {
      const refusal = await this.#renew(token);
      this.checking = false;
      if (client.closed) return;
      const link = this.#linkTo(replyTo);
      if (link !== undefined) link.answer(replyTo, messageId, refusal);
      else if (refusal !== undefined) fail(refusal);
      goOn();
    } catch (error) {
      this.#options.fail(error);
    }
  }

  /** Goes on with the login of a token; returns what refuses it, if anything does. */
  async #renew(password: string): Promise<BrokerError | undefined> {
    const { broker, client } = this.#options;
    const { user, host, peer } = client;
    try {
      const login = await broker.login({ user, password, peer, host: host.name });
      if (!client.closed) client.renewLogin(login);
      return undefined;
    } catch (error) {
      if (error instanceof BrokerError) return error;
      throw error;
    }
  }

  /** Clients name the address or the name of their link. */
  #linkTo(replyTo: Value): ReplyLink | undefined {
    const links = [...this.#replies];
    return links.find(({ address, name }) => replyTo === address || replyTo === name) ?? links.at(-1);
  }
}

/** Takes messages with tokens. */
class TokenSink implements Sink {
  readonly #put: (request: TokenRequest) => void;
  readonly #sections = new Sections();
  readonly #reader = new Reader(true);

  constructor(put: (request: TokenRequest) => void) {
    this.#put = put;
  }

  take(data: Buffer, start: number, end: number): DeliveryState | undefined {
    const sections = this.#sections;
    sections.scan(data, start, end);
    const said = this.#applicationProperties();
    const [operation, type] = [textOf(said.get("operation")), textOf(said.get("type"))];
    if (operation !== "put-token") {
      throw invalid(`The operation of a message to ${CBS} is ${operation ?? "not there"}; expected put-token`);
    }
    // amqp:jwt, jwt, servicebus.windows.net:jwt.
    if (type === undefined || !/(^|:)jwt$/i.test(type)) {
      throw invalid(`The type of a token is ${type ?? "not there"}; expected amqp:jwt or jwt`);
    }
    const token = this.#body();
    if (token === undefined || token === "") throw invalid("The body of a message with a token is no text");
    const read = (field: keyof typeof PROPERTY): Value => sections.read(sections.propertyAt[PROPERTY[field]] ?? 0);
    this.#put({ token, messageId: read("messageId"), replyTo: read("replyTo") });
    return undefined;
  }

  left(): void {
    // What was checked for it is the connection's.
  }

  #applicationProperties(): ReadonlyMap<Value, Value> {
    const { data, applicationPropertiesAt: at, end } = this.#sections;
    const value = at === 0 ? null : this.#reader.over(data, at, end).read();
    return value instanceof Map ? value : new Map();
  }

  #body(): string | undefined {
    const { data, body, bodySections, bodyAt, bodyEnd } = this.#sections;
    if (body === "sequence" || bodySections !== 1) return undefined;
    const value = this.#reader.over(data, bodyAt, bodyEnd).read();
    return value instanceof Uint8Array ? Buffer.from(value).toString() : textOf(value);
  }
}

/** A link on which the broker sends what became of tokens; each answer is settled when it is sent. */
class ReplyLink implements Link {
  readonly role = false;
  readonly name: string;
  readonly address: string | undefined;
  readonly handle: number;
  readonly peerHandle: number;
  detaching = false;
  deliveryCount = 0;
  readonly #endpoint: Endpoint;
  readonly #gone: () => void;
  readonly #writer = new Writer();
  #credit = 0;
  #waiting: Buffer[] = [];

  constructor(endpoint: Endpoint, { name, handle: peerHandle, target }: Attach, handle: number, gone: () => void) {
    this.#endpoint = endpoint;
    this.name = name;
    this.address = target?.type === "target" ? target.address : undefined;
    this.handle = handle;
    this.peerHandle = peerHandle;
    this.#gone = gone;
  }

  /** Tells what became of a token. */
  answer(to: Value, correlationId: Value, refusal: BrokerError | undefined): void {
    if (this.detaching) return;
    if (this.#waiting.length >= MOST_WAITING) {
      const text = `${MOST_WAITING} answers of ${CBS} wait for credit; no more are kept`;
      this.#endpoint.failLink(this, new AmqpError("link", CONDITION.resourceLimitExceeded, text));
      return;
    }
    this.#waiting.push(this.#message(to, correlationId, refusal));
    this.#send();
  }

  /** FLOW (amqp10 2.6.7). */
  onFlow(flow: FlowFields): void {
    if (flow.linkCredit !== ABSENT) {
      const seen = flow.deliveryCount === ABSENT ? 0 : flow.deliveryCount;
      this.#credit = Math.max(0, (seen + flow.linkCredit - this.deliveryCount) | 0);
      this.#send();
      if (flow.drain) {
        this.deliveryCount = (this.deliveryCount + this.#credit) >>> 0;
        this.#credit = 0;
      }
    }
    if (flow.echo || flow.drain) this.#endpoint.sayFlow(this.handle, this.deliveryCount, this.#credit, flow.drain);
  }

  left(): void {
    this.#waiting = [];
    this.#gone();
  }

  #send(): void {
    while (this.#credit > 0 && !this.#endpoint.over) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#credit--;
      this.deliveryCount = (this.deliveryCount + 1) >>> 0;
      const payload = new Payload();
      payload.middle = message;
      payload.middleEnd = message.length;
      const number = this.#endpoint.sent.pass();
      let at = 0;
      // They are few and small, so that the window may be passed.
      while (at < message.length) at = this.#endpoint.write(this.handle, number, this.deliveryCount, true, payload, at);
    }
  }

  #message(to: Value, correlationId: Value, refusal: BrokerError | undefined): Buffer {
    const writer = this.#writer;
    const code = refusal === undefined ? ACCEPTED : (STATUS[refusal.code] ?? REFUSED);
    writer.clear();
    writer.descriptor(SECTION.properties);
    // message-id, user-id, to, subject, reply-to, correlation-id
    writer.value([null, null, to, null, null, correlationId]);
    writer.descriptor(SECTION.applicationProperties);
    writer.value(
      new Map<Value, Value>([
        ["status-code", code],
        ["status-description", refusal?.message ?? "Accepted"],
      ]),
    );
    writer.descriptor(SECTION.value);
    writer.value(null);
    return writer.bytes();
  }
}

/** A text or a symbol. */
function textOf(value: Value | undefined): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Scalar && typeof value.value === "string" ? value.value : undefined;
}

function invalid(text: string): AmqpError {
  return new AmqpError("link", CONDITION.invalidField, text);
}
