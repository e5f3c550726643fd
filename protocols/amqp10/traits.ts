/*
 * What a message asks for beyond being delivered, by annotations or application properties of these names:
 *
 *     x-opt-delivery-time         a time, at which it is to be delivered      } at most one of these three
 *     x-opt-delivery-delay        milliseconds after the broker took it       }
 *     AMQ_SCHEDULED_DELAY         the same, as ActiveMQ has it                }
 *     AMQ_SCHEDULED_PERIOD        milliseconds from one delivery to the next
 *     AMQ_SCHEDULED_REPEAT        deliveries after the first one; -1 without end
 *     AMQ_SCHEDULED_CRON          five fields as in crontab; goes before AMQ_SCHEDULED_DELAY, as in ActiveMQ
 *     x-opt-duplicate-id, duplicate-id, _AMQ_DUPL_ID
 *                                 the id by which a repeated send is found out
 */
import type { Timing } from "../../core/message.ts";
import { AmqpError, CONDITION } from "./errors.ts";
import type { KnownName, Sections } from "./sections.ts";
import { Scalar } from "./values.ts";

/** A century is fewer. */
const MOST_MS = 1e15;

/**
 * When a message received at `receivedAt` is to be delivered; undefined for at once, and no more than that. Throws
 * AmqpError over values that make no sense.
 */
export function readTiming(sections: Sections, receivedAt: number): Timing | undefined {
  const read = (name: KnownName): number | undefined => readMs(sections, name, 0);
  const [at, delay] = [read("x-opt-delivery-time"), read("x-opt-delivery-delay")];
  const [scheduledDelay, periodMs] = [read("AMQ_SCHEDULED_DELAY"), read("AMQ_SCHEDULED_PERIOD")];
  const repeats = readMs(sections, "AMQ_SCHEDULED_REPEAT", -1) ?? 0;
  const cron = readText(sections, "AMQ_SCHEDULED_CRON")?.trim();
  const wait = delay ?? scheduledDelay;
  refuseTwo({ "x-opt-delivery-time": at, "x-opt-delivery-delay": delay, AMQ_SCHEDULED_DELAY: scheduledDelay });
  refuseTwo({ "x-opt-delivery-time": at, "x-opt-delivery-delay": delay, AMQ_SCHEDULED_CRON: cron });
  // Without a pause between them, and perhaps without end, they would flood the destination.
  if (repeats !== 0 && (periodMs === undefined || periodMs === 0)) {
    throw refusal(
      `AMQ_SCHEDULED_REPEAT is ${repeats} without a time between the deliveries; expected AMQ_SCHEDULED_PERIOD above 0`,
    );
  }
  const deliverAt = cron === undefined ? (wait === undefined ? at : receivedAt + wait) : undefined;
  if (cron === undefined && repeats === 0 && (deliverAt ?? 0) <= receivedAt) return undefined;
  return { deliverAt, periodMs: repeats === 0 ? undefined : periodMs, repeats, cron };
}

/** The id by which a repeated send is found out; the first of its names counts. */
export function readDuplicateId(sections: Sections): string | undefined {
  return (
    readText(sections, "x-opt-duplicate-id") ?? readText(sections, "duplicate-id") ?? readText(sections, "_AMQ_DUPL_ID")
  );
}

function readMs(sections: Sections, name: KnownName, least: number): number | undefined {
  const value = sections.known(name);
  if (value === null) return undefined;
  const said = value instanceof Scalar ? value.value : value;
  const number =
    typeof said === "number" || typeof said === "bigint" || (typeof said === "string" && /^-?\d{1,15}$/.test(said))
      ? Number(said)
      : Number.NaN;
  if (Number.isInteger(number) && number >= least && number <= MOST_MS) return number;
  throw refusal(`${name} is no whole number from ${least} to ${MOST_MS}`);
}

function readText(sections: Sections, name: KnownName): string | undefined {
  const value = sections.known(name);
  if (value === null) return undefined;
  const said = value instanceof Scalar ? value.value : value;
  if (typeof said === "number" || typeof said === "bigint") return said.toString();
  if (typeof said === "string" && said.trim() !== "") return said;
  throw refusal(`${name} is no text, or is empty`);
}

function refuseTwo(said: Readonly<Record<string, number | string | undefined>>): void {
  const [one, two] = Object.keys(said).filter((name) => said[name] !== undefined);
  if (one === undefined || two === undefined) return;
  throw refusal(`${one} and ${two} both say when the message is to be delivered; expected one of them`);
}

function refusal(text: string): AmqpError {
  return new AmqpError("link", CONDITION.invalidField, text);
}
