import type { Received } from "./containers.ts";
import { type DynamicNode, linkKey, makeNode, temporariesOf } from "./attach.ts";
import type { AddressKind } from "../../core/addresses/address.ts";
import { kindOf } from "./address.ts";
import { CBS } from "./cbs.ts";
import { Coordinator } from "./coordinator.ts";
import type { Connected, Endpoint, Ending } from "./endpoint.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import { type Attach, compositeValue, type DeliveryState, type Said, type Target } from "./performatives.ts";
import { ReceiverLink, type Sink } from "./receiver.ts";
import { RelaySink, TargetSink } from "./sink.ts";
import { tagsOf } from "./suspended.ts";
import type { Value } from "./values.ts";

/** What a coordinator can do (amqp10 4.5.8). */
const COORDINATOR = ["amqp:local-transactions", "amqp:multi-txns-per-ssn", "amqp:multi-ssns-per-txn"];

/** What takes a link's messages, and the target that is said to be its own. */
interface Taker {
  readonly sink: Sink;
  readonly target: NonNullable<Said<Attach>["target"]>;
}

/** The broker's end of a link on which the peer sends. Throws BrokerError or AmqpError("link") when there is to be none. */
export function attachReceiver(endpoint: Endpoint, attach: Attach, handle: number): void {
  const { connected } = endpoint;
  const { options, containers } = connected;
  const { sink, target } = takerOf(connected, attach, (error) => endpoint.failLink(link, error));
  const key = linkKey(connected, attach.name);
  const received = receivedBefore(containers.recall(key), attach);
  const link: ReceiverLink = new ReceiverLink(endpoint, {
    name: attach.name,
    handle,
    peerHandle: attach.handle,
    initialDeliveryCount: attach.initialDeliveryCount ?? 0,
    sndSettleMode: attach.sndSettleMode,
    rcvSettleMode: attach.rcvSettleMode,
    maxMessageBytes: options.maxMessageBytes,
    credit: options.credit,
    sink,
    received,
    left: (ending: Ending, left: Received) => {
      if (ending !== "close") containers.remember(key, left);
    },
  });
  endpoint.add(link);
  endpoint.say({
    type: "attach",
    name: attach.name,
    handle,
    role: true,
    sndSettleMode: attach.sndSettleMode,
    rcvSettleMode: attach.rcvSettleMode,
    ...(attach.source === undefined ? {} : { source: attach.source }),
    target,
    ...(received.size === 0 ? {} : { unsettled: statesOf(received) }),
    maxMessageSize: BigInt(options.maxMessageBytes),
    ...(attach.desiredCapabilities === undefined ? {} : { offeredCapabilities: offered(attach.desiredCapabilities) }),
  });
  link.replenish();
  if (connected.client.blocked) endpoint.sayFlow(handle, link.deliveryCount, 0, false);
}

/** `fail` ends the link. */
function takerOf(connected: Connected, attach: Attach, fail: (error: unknown) => void): Taker {
  const { options } = connected;
  const { target } = attach;
  if (target?.type === "coordinator") {
    return {
      sink: new Coordinator(connected.transactions),
      target: { type: "coordinator", capabilities: COORDINATOR },
    };
  }
  if (target === undefined) {
    const text = `Link "${attach.name}" has no target; expected one, without an address for messages that say where they go`;
    throw new AmqpError("link", CONDITION.invalidField, text);
  }
  const temporary = temporariesOf(connected);
  const plain = kindOf(target.capabilities) ?? options.plainAddress;
  if (target.dynamic) {
    const node = makeNode(connected, target.address, target.capabilities, target.dynamicNodeProperties);
    const left = (ending: Ending): void => {
      if (ending === "close") node.closed();
    };
    return {
      sink: sinkOf(connected, node, plain, left),
      target: { ...agreed(target), address: node.text, dynamic: true, dynamicNodeProperties: node.properties },
    };
  }
  const { address } = target;
  if (address === CBS && connected.tokens !== undefined) {
    return { sink: connected.tokens.sink(fail), target: { ...agreed(target), address } };
  }
  if (address === undefined || address === "") {
    return { sink: new RelaySink(connected, options.plainAddress, temporary), target: agreed(target) };
  }
  return {
    sink: new TargetSink(connected, address, plain, temporary, () => {}),
    target: { ...agreed(target), address },
  };
}

/** Takes what is sent to a node that was just made. */
function sinkOf(connected: Connected, node: DynamicNode, plain: AddressKind, left: (ending: Ending) => void): Sink {
  try {
    return new TargetSink(connected, node.text, plain, temporariesOf(connected), left);
  } catch (refusal) {
    node.drop();
    throw refusal;
  }
}

function agreed({ durable, expiryPolicy, timeout, capabilities }: Target): Said<Target> {
  return {
    type: "target",
    durable,
    expiryPolicy,
    timeout,
    ...(capabilities === undefined ? {} : { capabilities }),
  };
}

/** Those of the deliveries that the sender has not settled either (amqp10 2.6.13). */
function receivedBefore(before: Received | undefined, attach: Attach): Received {
  const received: Received = new Map();
  if (before === undefined) return received;
  for (const tag of tagsOf(attach.unsettled).keys()) {
    const state = before.get(tag);
    if (state !== undefined) received.set(tag, state);
  }
  return received;
}

function statesOf(received: Received): Map<Value, Value> {
  const states = new Map<Value, Value>();
  for (const [tag, state] of received) states.set(Buffer.from(tag, "base64"), compositeValue<DeliveryState>(state));
  return states;
}

function offered(desired: readonly string[]): string[] {
  return desired.filter((capability) => capability === "DELAYED_DELIVERY");
}
