import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Route } from "../../core/routing/route.ts";
import type { Transaction } from "../../core/transaction.ts";
import { parseTarget, type Temporaries } from "./address.ts";
import { messageOf } from "./convert.ts";
import type { Connected, Ending } from "./endpoint.ts";
import { type DeliveryState, RELEASED } from "./performatives.ts";
import { Reader } from "./reader.ts";
import type { Sink } from "./receiver.ts";
import { Sections } from "./sections.ts";
import { Described } from "./values.ts";

/** Where one address of a target leads. */
interface Way {
  readonly address: Address;
  readonly route: Route;
}

/** Targets remembered of a link that names one in each message. */
const MOST_TARGETS = 1000;
/** `to` among the fields of the properties (amqp10 3.2.4). */
const TO = 2;
/** In whose name a message of a connection without a user can be sent. */
const NOBODY = "";

/** The ways to the addresses that a text names. Throws BrokerError. */
function waysOf(connected: Connected, text: string, plain: AddressKind, temporary: Temporaries): Way[] {
  const { client } = connected;
  return parseTarget(text, plain, temporary).map((address) => ({ address, route: client.route([address]) }));
}

/** Publishes what a link brings. */
abstract class PublishingSink implements Sink {
  protected readonly connected: Connected;
  protected readonly sections = new Sections();
  readonly #left: (ending: Ending) => void;

  constructor(connected: Connected, left: (ending: Ending) => void) {
    this.connected = connected;
    this.#left = left;
  }

  take(data: Buffer, start: number, end: number, state: DeliveryState | undefined): DeliveryState | undefined {
    const { connected, sections } = this;
    const { client } = connected;
    sections.scan(data, start, end);
    const open = state?.type === "transactional-state" ? connected.transactions.find(state.txnId) : undefined;
    const ways = this.ways();
    const [first] = ways;
    let reaches = true;
    if (ways.length === 1 && first !== undefined) reaches = this.#publish(first, open?.core);
    else this.#publishAll(ways, open?.core);
    if (client.blocked) connected.overrun += end - start;
    return reaches ? open?.accepted : RELEASED;
  }

  left(ending: Ending): void {
    this.#left(ending);
  }

  /** Where the message at hand goes. */
  protected abstract ways(): readonly Way[];

  /** False when an exchange leads nowhere: its sender is told so, as by RabbitMQ. */
  #publish({ address, route }: Way, transaction: Transaction | undefined): boolean {
    const { client, now } = this.connected;
    const message = messageOf(this.sections, address, now, client.user ?? NOBODY);
    // A large message was put together in a buffer of its own.
    if (message.start === 0 && message.data.length <= message.end + (message.end >> 2)) message.detached = true;
    const reaches = address.kind !== "exchange" || transaction !== undefined || route.reaches(message);
    client.publish(route, message, transaction);
    return reaches;
  }

  #publishAll(ways: readonly Way[], transaction: Transaction | undefined): void {
    const { client, now } = this.connected;
    const user = client.user ?? NOBODY;
    const sends = ways.map(({ address, route }) => ({ route, message: messageOf(this.sections, address, now, user) }));
    // Before the first has it: a composite is refused as a whole. A transaction does the same when it commits.
    if (transaction === undefined) for (const { route, message } of sends) route.check(message);
    for (const { route, message } of sends) client.publish(route, message, transaction);
  }
}

/** The sink of a link whose target has an address. */
export class TargetSink extends PublishingSink {
  readonly #ways: readonly Way[];

  /** Throws BrokerError when the client may not send there. */
  constructor(
    connected: Connected,
    address: string,
    plain: AddressKind,
    temporary: Temporaries,
    left: (ending: Ending) => void,
  ) {
    super(connected, left);
    this.#ways = waysOf(connected, address, plain, temporary);
  }

  *routes(): Iterable<Route> {
    for (const { route } of this.#ways) yield route;
  }

  protected override ways(): readonly Way[] {
    return this.#ways;
  }
}

/** The sink of a link without an address: each message says `to` whom it is (Anonymous Terminus for Message Routing). */
export class RelaySink extends PublishingSink {
  readonly #plain: AddressKind;
  readonly #temporary: Temporaries;
  readonly #reader = new Reader(true);
  readonly #targets = new Map<string, Way[]>();

  constructor(connected: Connected, plain: AddressKind, temporary: Temporaries) {
    super(connected, () => {});
    this.#plain = plain;
    this.#temporary = temporary;
  }

  *routes(): Iterable<Route> {
    for (const ways of this.#targets.values()) for (const { route } of ways) yield route;
  }

  protected override ways(): readonly Way[] {
    const to = this.#readTo();
    if (to === undefined)
      throw new BrokerError("bad-address", "The link has no target, and the message no `to` either");
    const known = this.#targets.get(to);
    if (known !== undefined) return known;
    const ways = waysOf(this.connected, to, this.#plain, this.#temporary);
    if (this.#targets.size >= MOST_TARGETS) {
      const [oldest] = this.#targets.keys();
      if (oldest !== undefined) this.#targets.delete(oldest);
    }
    this.#targets.set(to, ways);
    return ways;
  }

  #readTo(): string | undefined {
    const { data, propertiesStart, propertiesEnd } = this.sections;
    if (propertiesStart === propertiesEnd) return undefined;
    const section = this.#reader.over(data, propertiesStart, propertiesEnd).read();
    const fields = section instanceof Described ? section.value : undefined;
    const to: unknown = Array.isArray(fields) ? fields[TO] : undefined;
    return typeof to === "string" && to !== "" ? to : undefined;
  }
}
