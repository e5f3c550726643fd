import type { Address, AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { formatAddress, kindOf, type Temporaries } from "./address.ts";
import { attachReceiver } from "./attach-receiver.ts";
import { attachSender } from "./attach-sender.ts";
import { CBS } from "./cbs.ts";
import type { Connected, Endpoint, Link } from "./endpoint.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import type { Attach, Fields } from "./performatives.ts";
import { Described, Scalar } from "./values.ts";

/** amqp10 3.5.10: the node goes when the link that made it is closed. The other policies wait longer: until the end. */
const DELETE_ON_CLOSE = 0x2bn;
const LIFETIME = "lifetime-policy";

/** A node that a client had made for itself (amqp10 3.5.3 dynamic). */
export interface DynamicNode {
  readonly address: Address;
  readonly text: string;
  readonly properties: Fields;
  /** The link that made it is closed. */
  closed(): void;
  /** The link for which it was made never came to be. */
  drop(): void;
}

/** ATTACH: makes the broker's end of a link and answers, or refuses it (amqp10 2.6.3). */
export function attach(endpoint: Endpoint, performative: Attach): void {
  const handle = endpoint.freeHandle;
  try {
    const { tokens } = endpoint.connected;
    if (performative.role && performative.source?.address === CBS && tokens !== undefined) {
      tokens.attachReplies(endpoint, performative, handle);
    } else if (performative.role) attachSender(endpoint, performative, handle);
    else attachReceiver(endpoint, performative, handle);
  } catch (error) {
    if (!(error instanceof BrokerError) && !(error instanceof AmqpError && error.scope === "link")) throw error;
    refuse(endpoint, performative, handle, error);
  }
}

/** An attach that has to be answered before it can be refused: a terminus that is not there says that it will be. */
function refuse(endpoint: Endpoint, { name, handle: peerHandle, role }: Attach, handle: number, error: unknown): void {
  endpoint.add(new RefusedLink(name, handle, peerHandle, !role));
  endpoint.say({ type: "attach", name, handle, role: !role, ...(role ? { initialDeliveryCount: 0 } : {}) });
  endpoint.sayDetached(handle, error);
}

/** A link that never came to be; kept until the peer has detached it too. */
class RefusedLink implements Link {
  readonly name: string;
  readonly handle: number;
  readonly peerHandle: number;
  readonly role: boolean;
  readonly deliveryCount = 0;
  detaching = true;

  constructor(name: string, handle: number, peerHandle: number, role: boolean) {
    this.name = name;
    this.handle = handle;
    this.peerHandle = peerHandle;
    this.role = role;
  }

  onFlow(): void {}

  left(): void {}
}

/** Temporary destinations of this connection by their names. */
export function temporariesOf({ client }: Connected): Temporaries {
  return (kind, name) => client.temporary(kind, name);
}

/** Makes a node for a client. Throws AmqpError when it named one all the same. */
export function makeNode(
  { broker, client }: Connected,
  address: string | undefined,
  capabilities: readonly string[] | undefined,
  properties: Fields | undefined,
): DynamicNode {
  if (address !== undefined && address !== "") {
    const text = `A dynamic terminus has the address "${address}"; expected none, for the broker makes it up`;
    throw new AmqpError("link", CONDITION.invalidField, text);
  }
  const kind: AddressKind = kindOf(capabilities) ?? "queue";
  const made = client.temporary(kind, broker.random.token());
  const lifetime = properties?.get(LIFETIME);
  const policy = lifetime instanceof Described ? lifetime : new Described(new Scalar("ulong", DELETE_ON_CLOSE), []);
  const { descriptor } = policy;
  const name = descriptor instanceof Scalar ? descriptor.value : undefined;
  const drop = (): void => client.dropTemporary(made);
  const goes = name === DELETE_ON_CLOSE || name === "amqp:delete-on-close:list";
  return {
    address: made,
    text: formatAddress(made),
    properties: new Map([[LIFETIME, policy]]),
    closed: () => {
      if (goes) drop();
    },
    drop,
  };
}

/** By what a link, or its subscription, is known to other connections: of the same user, for anybody can call himself a container. */
export function linkKey({ client, containerId }: Connected, name: string): string {
  return JSON.stringify([client.host.name, client.user, containerId, name]);
}
