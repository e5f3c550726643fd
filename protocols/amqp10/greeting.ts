import type { Broker } from "../../core/broker.ts";
import { BrokerError } from "../../core/errors.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import type { Open, Said } from "./performatives.ts";
import type { Amqp10Options } from "./protocol.ts";

/** amqp10 2.7.1: what every peer has to take. */
const LEAST_FRAME_BYTES = 512;
const OFFERED = ["ANONYMOUS-RELAY", "DELAYED_DELIVERY", "SHARED-SUBS"];
const SOLE = "sole-connection-for-container";
const VHOST_PREFIX = "vhost:";

/** Throws AmqpError for an OPEN that cannot be kept. */
export function checkOpen({ maxFrameSize }: Open): void {
  if (maxFrameSize >= LEAST_FRAME_BYTES) return;
  const text = `max-frame-size is ${maxFrameSize}; expected ${LEAST_FRAME_BYTES} or more`;
  throw new AmqpError("connection", CONDITION.invalidField, text);
}

/** The virtual host of a host name, which is the name itself or RabbitMQ's `vhost:NAME`. */
export function hostNamed(hostname: string | undefined, broker: Broker): VirtualHost | undefined {
  return broker.host(hostname?.startsWith(VHOST_PREFIX) === true ? hostname.slice(VHOST_PREFIX.length) : hostname);
}

/** The virtual host that an OPEN names. Throws BrokerError when there is none. */
export function hostOf({ hostname }: Open, broker: Broker): VirtualHost {
  const host = hostNamed(hostname, broker);
  if (host !== undefined) return host;
  throw new BrokerError("not-found", `There is no virtual host "${hostname ?? ""}" (hosts)`);
}

/** Whether the container is to have no other connection (Enforcing Connection Uniqueness). */
export function wantsSole({ desiredCapabilities }: Open): boolean {
  return desiredCapabilities?.includes(SOLE) === true;
}

/** The broker's OPEN. `refused`: a CLOSE follows, for the container has another connection. */
export function openingOf(broker: Broker, options: Amqp10Options, sole: boolean, refused: boolean): Said<Open> {
  const { maxFrameBytes, maxSessions, idleTimeoutMs } = options;
  return {
    type: "open",
    containerId: broker.name,
    maxFrameSize: maxFrameBytes,
    channelMax: maxSessions - 1,
    // amqp10 2.4.5: half of the time after which this side gives up.
    ...(idleTimeoutMs === 0 ? {} : { idleTimeOut: Math.ceil(idleTimeoutMs / 2) }),
    offeredCapabilities: sole ? [...OFFERED, SOLE] : OFFERED,
    properties: new Map<string, string | boolean>([
      ["product", "delos"],
      ["version", broker.version],
      ...(refused ? [["amqp:connection-establishment-failed", true] as const] : []),
    ]),
  };
}
