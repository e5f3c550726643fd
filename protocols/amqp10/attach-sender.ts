import { Pattern } from "../../core/addresses/pattern.ts";
import { BrokerError } from "../../core/errors.ts";
import type { Outcome } from "../../core/protocol.ts";
import type { Subscription } from "../../core/subscription.ts";
import { linkKey, makeNode, temporariesOf } from "./attach.ts";
import type { Connected, Endpoint, Ending } from "./endpoint.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { asComposite, type Attach, type Fields, isState, type Said, type Source } from "./performatives.ts";
import { finalOutcome, SenderLink } from "./sender.ts";
import { type Suspended, SuspendedLink, tagBytes, tagKey, tagsOf } from "./suspended.ts";
import {
  describeSelector,
  durableId,
  formatPattern,
  numberOf,
  readFilters,
  readSource,
  type Wanted,
} from "./terminus.ts";
import { Described, type Value } from "./values.ts";

const OUTCOMES = ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"];
/** What happens to deliveries that are settled without a word, or whose receiver goes. */
const DEFAULT_OUTCOME = {
  type: "modified",
  deliveryFailed: true,
  undeliverableHere: false,
  messageAnnotations: undefined,
} as const;

const PRIORITY = ["rabbitmq:priority", "priority", "x-priority"];
/** terminus-durability: what is unsettled waits for the link to come again (amqp10 3.5.5). */
const UNSETTLED_STATE = 2;

/** What a link is to receive from, and the source that is said to be its own. */
interface Origin {
  readonly wanted: Wanted;
  readonly source: Said<Source>;
  /** The id of its durable subscription, if it has one of its own or shares one. */
  readonly durable: string | undefined;
  /** The subscription is there already and stays as it is. */
  readonly found: boolean;
  /** The link is closed for good. */
  readonly closed: () => void;
  /** There is to be no such link after all. */
  readonly refused?: () => void;
}

/** The broker's end of a link on which the peer receives. Throws BrokerError or AmqpError("link") when there is to be none. */
export function attachSender(endpoint: Endpoint, attach: Attach, handle: number): void {
  const { connected } = endpoint;
  const origin = originOf(connected, attach);
  const { wanted, durable } = origin;
  // Before the link of that name is taken from whoever has it.
  const { client } = connected;
  if (durable !== undefined) client.host.guard.check(client, wanted.browse ? "receive" : "consume", "dsub", durable);
  const suspended = connected.suspended.get(attach.name);
  connected.suspended.delete(attach.name);
  const link: SenderLink = new SenderLink(endpoint, {
    name: attach.name,
    handle,
    peerHandle: attach.handle,
    defaultOutcome: attach.source?.defaultOutcome ?? DEFAULT_OUTCOME,
    sndSettleMode: attach.sndSettleMode,
    maxMessageBytes: mostBytes(attach.maxMessageSize),
    browse: wanted.browse,
    left: (ending) => leave(endpoint, link, attach, origin, ending),
  });
  // Before it is subscribed to anew, so that what the one before has comes back in its place.
  if (durable !== undefined && !wanted.shared) connected.containers.own(linkKey(connected, durable), link);
  const known = knownOf(attach);
  if (suspended !== undefined) link.resume(suspended, suspended.resume(known));
  try {
    link.core = subscribe(connected, attach, origin, link);
  } catch (refusal) {
    suspended?.end();
    origin.refused?.();
    if (durable !== undefined) connected.containers.disown(linkKey(connected, durable), link);
    throw refusal;
  }
  endpoint.add(link);
  const kept = suspended?.tags.filter((tag) => known.has(tagKey(tag))) ?? [];
  endpoint.say({
    type: "attach",
    name: attach.name,
    handle,
    role: false,
    sndSettleMode: attach.sndSettleMode,
    rcvSettleMode: attach.rcvSettleMode,
    source: origin.source,
    target: attach.target?.type === "target" ? attach.target : { type: "target" },
    ...(kept.length === 0 ? {} : { unsettled: new Map<Value, Value>(kept.map((tag) => [tagBytes(tag), null])) }),
    initialDeliveryCount: 0,
    ...(wanted.shared ? { offeredCapabilities: ["SHARED-SUBS"] } : {}),
  });
}

function subscribe(connected: Connected, attach: Attach, origin: Origin, link: SenderLink): Subscription {
  const { wanted, durable, found } = origin;
  const { properties } = attach;
  const core = connected.client.subscribe({
    patterns: wanted.patterns,
    attachDurable: wanted.attachDurable ?? (found ? durable : undefined),
    durable: found ? undefined : durable,
    volatile: !wanted.durable,
    selector: wanted.selector,
    settling: !link.settled && !wanted.browse,
    credit: { messages: 0, bytes: 0 },
    browse: wanted.browse ? { end: false, fromSequence: 0 } : undefined,
    priority: numberOf(properties, PRIORITY),
    exclusive: properties?.get("exclusive") === true,
    noLocal: wanted.noLocal,
    consumer: link,
  });
  // AMQP's credit is used up by deliveries, and comes back by FLOW alone.
  core.autoRefill = false;
  return core;
}

function originOf(connected: Connected, attach: Attach): Origin {
  const { source } = attach;
  if (source?.dynamic === true) return dynamicOrigin(connected, source);
  if (source?.address === undefined) return foundOrigin(connected, attach);
  const wanted = readSource(source, source.address, connected.options.plainAddress, temporariesOf(connected));
  const lasting = wanted.durable || wanted.shared;
  const { containerId } = connected;
  const durable = lasting ? durableId(containerId, attach.name, wanted) : undefined;
  const mode = wanted.patterns.some(({ kind }) => kind === "topic") || wanted.browse ? "copy" : "move";
  return {
    wanted,
    source: { ...agreed(source, wanted.applied), address: source.address, distributionMode: mode },
    durable,
    found: false,
    closed: () => {
      if (durable !== undefined && wanted.durable) deleteDurable(connected, durable);
    },
  };
}

function dynamicOrigin(connected: Connected, source: Source): Origin {
  const { address, capabilities, dynamicNodeProperties, filter } = source;
  const filters = readFilters(filter);
  const node = makeNode(connected, address, capabilities, dynamicNodeProperties);
  const patterns = [Pattern.of(node.address)];
  return {
    wanted: {
      ...filters,
      patterns,
      attachDurable: undefined,
      browse: false,
      durable: false,
      shared: false,
      global: false,
    },
    source: {
      ...agreed(source, filters.applied),
      address: node.text,
      dynamic: true,
      dynamicNodeProperties: node.properties,
      distributionMode: node.address.kind === "topic" ? "copy" : "move",
    },
    durable: undefined,
    found: false,
    closed: () => node.closed(),
    refused: () => node.drop(),
  };
}

/** Without an address a link is to go on with the durable subscription that has its name. */
function foundOrigin(connected: Connected, attach: Attach): Origin {
  const { client, containerId } = connected;
  const global = attach.source?.capabilities?.includes("global") === true || /\|global\d*$/.test(attach.name);
  const shared = global || attach.source?.capabilities?.includes("shared") === true;
  const durable = durableId(containerId, attach.name, { shared, global, durable: true });
  const there = client.host.durables.get(durable);
  if (there === undefined) {
    const text = `Link "${attach.name}" has no source, and container ${containerId} no durable subscription of this name`;
    throw new AmqpError("link", CONDITION.notFound, text);
  }
  const { patterns, selector } = there;
  return {
    wanted: {
      patterns: [],
      attachDurable: durable,
      selector: undefined,
      noLocal: false,
      applied: undefined,
      browse: false,
      durable: true,
      shared,
      global,
    },
    source: {
      type: "source",
      address: patterns.map(formatPattern).join(","),
      durable: UNSETTLED_STATE,
      expiryPolicy: "never",
      distributionMode: "copy",
      filter: describeSelector(selector),
      defaultOutcome: DEFAULT_OUTCOME,
      outcomes: OUTCOMES,
      capabilities: ["topic", ...(shared ? ["shared"] : []), ...(global ? ["global"] : [])],
    },
    durable,
    found: true,
    closed: () => deleteDurable(connected, durable),
  };
}

/** What the broker takes over of a source as it was asked for. */
function agreed(source: Source, applied: Fields | undefined): Said<Source> {
  const { durable, expiryPolicy, timeout, defaultOutcome, capabilities } = source;
  return {
    type: "source",
    durable,
    // Clients that want a durable subscription often say no more than that: with the session it would be none.
    expiryPolicy: durable > 0 && expiryPolicy === "session-end" ? "never" : expiryPolicy,
    timeout,
    filter: applied,
    defaultOutcome: defaultOutcome ?? DEFAULT_OUTCOME,
    outcomes: OUTCOMES,
    capabilities,
  };
}

/** The link is over: whether its receiver comes again says what becomes of what it had. */
function leave(endpoint: Endpoint, link: SenderLink, attach: Attach, origin: Origin, ending: Ending): void {
  const { connected } = endpoint;
  const { durable, wanted } = origin;
  const { core } = link;
  if (durable !== undefined) connected.containers.disown(linkKey(connected, durable), link);
  if (core !== undefined)
    release(endpoint, link, core, ending === "detach" && attach.source?.durable === UNSETTLED_STATE);
  if (durable !== undefined) connected.client.host.endVolatile(durable);
  try {
    if (ending === "close") origin.closed();
    else if (wanted.durable && durable !== undefined && !origin.found && expires(attach.source, ending)) {
      deleteDurable(connected, durable);
    }
  } catch (refusal) {
    // Nobody is there to be told; without the right to destroy it, it stays.
    if (!(refusal instanceof BrokerError) || ending === "close" || ending === "detach") throw refusal;
  }
}

/** Takes from the receiver what it has; with `suspends` that waits until the link comes again. */
function release(endpoint: Endpoint, link: SenderLink, core: Subscription, suspends: boolean): void {
  const { connected, sent } = endpoint;
  const left = link.unsettled === 0 ? [] : sent.takeAllOf(link);
  link.unsettled = 0;
  const held = left.flatMap(({ delivery, tag }): Suspended[] => {
    const holder = delivery === undefined ? undefined : link.holderOf(delivery);
    return delivery === undefined || holder === undefined ? [] : [{ holder, delivery, tag }];
  });
  if (!suspends || held.length === 0 || connected.suspended.size >= connected.options.maxLinks) {
    link.endCores();
    return;
  }
  core.stop();
  connected.suspended.get(link.name)?.end();
  connected.suspended.set(link.name, new SuspendedLink(connected.client, core, held, link.lastTag));
}

/** Whether a subscription goes at this end of its link (amqp10 3.5.6). */
function expires(source: Source | undefined, ending: Ending): boolean {
  if (source?.expiryPolicy === "link-detach") return true;
  return source?.expiryPolicy === "connection-close" && ending === "gone";
}

function deleteDurable({ client }: Connected, id: string): void {
  const there = client.host.durables.get(id);
  // Others that share it still receive from it: it goes with them.
  if (there === undefined || there.queue.audiences.length > 0) return;
  client.deleteDurable(id);
}

/** What the receiver says of deliveries that it knows of, by their tags. */
function knownOf({ unsettled }: Attach): Map<string, Outcome | undefined> {
  const known = new Map<string, Outcome | undefined>();
  for (const [tag, value] of tagsOf(unsettled)) {
    const composite = value instanceof Described ? asComposite(value) : undefined;
    known.set(tag, composite !== undefined && isState(composite) ? finalOutcome(composite) : undefined);
  }
  return known;
}

function mostBytes(maxMessageSize: bigint | undefined): number {
  return maxMessageSize === undefined || maxMessageSize === 0n ? Number.POSITIVE_INFINITY : Number(maxMessageSize);
}
