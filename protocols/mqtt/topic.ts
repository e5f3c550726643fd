/*
 * Topics of MQTT as addresses of the core. The levels of a topic are what stands between its slashes, empty ones too:
 *
 *     a//b -> "a" "" "b"      /a -> "" "a"      $queue/a/b -> the queue "a" "b"
 *     $exchange/x/a.b/c -> the exchange "x" with the key "a.b/c", to publish to only
 *
 * Nothing of a topic may be normalised [MQTT-4.7.3-4], so it is not read as other spellings are, where "%41" and "A" are
 * the same. Only what no topic can have inside a level (slash, wildcards, U+0000, from other protocols) is escaped, and
 * only what `formatTopic` writes is unescaped: each well-formed text is one address, and each address one text.
 */
import { Address, type AddressKind } from "../../core/addresses/address.ts";
import { BrokerError } from "../../core/errors.ts";
import { exchangeAddress } from "../../core/exchanges/routing-key.ts";
import { LevelExpression } from "../../core/addresses/level-expression.ts";
import { Pattern, type PatternLevel } from "../../core/addresses/pattern.ts";
import { quote } from "../../core/addresses/spelling.ts";
import { MqttError, malformed, REASON } from "./errors.ts";

/** What a client subscribes to. */
export interface Filter {
  /** Of a shared subscription. */
  readonly group: string | undefined;
  /** The filter without `$share/GROUP/`. */
  readonly text: string;
  readonly pattern: Pattern;
}

const QUEUE = "$queue/";
const EXCHANGE = "$exchange/";
const SHARE = "$share/";
const DELAYED = "$delayed/";
/** A century and more. */
const MOST_SECONDS = 0xffff_ffff;

/** How long topics and filters may be. */
export interface TopicLimits {
  readonly maxTopicBytes: number;
  readonly maxTopicLevels: number;
}

/** Where a PUBLISH leads. */
export interface Target {
  readonly address: Address;
  /** The topic without `$delayed/SECONDS/`. */
  readonly topic: string;
  /** How long until it is to be delivered; 0 for a topic without delay. */
  readonly delayMs: number;
}

/** What a topic in a PUBLISH means: `$delayed/SECONDS/TOPIC` is TOPIC, so many seconds later. */
export function parseTarget(text: string, limits: TopicLimits): Target | MqttError {
  let topic = text;
  let delayMs = 0;
  if (text.startsWith(DELAYED)) {
    const [, digits, rest] = /^\$delayed\/(\d{1,10})\/([^]+)$/.exec(text) ?? [];
    if (digits === undefined || rest === undefined || Number(digits) > MOST_SECONDS) {
      return new MqttError(
        REASON.topicNameInvalid,
        `The topic ${quote(text)} is not valid; expected $delayed/SECONDS/TOPIC, with 0 to ${MOST_SECONDS} seconds`,
      );
    }
    topic = rest;
    delayMs = Number(digits) * 1000;
  }
  const address = excess(topic, limits, REASON.topicNameInvalid) ?? parseTopic(topic);
  if (address instanceof MqttError) return address;
  // What is sent to amq.topic is sent to a topic, whose subscribers expect its name.
  if (topic.startsWith(EXCHANGE) && address.kind !== "exchange") topic = formatTopic(address);
  return { address, topic, delayMs };
}

/** What a filter in a SUBSCRIBE asks for; an error when it is none, or too long. */
export function parseRequest(text: string, limits: TopicLimits): Filter | MqttError {
  const filter = parseFilter(text);
  if (filter instanceof MqttError) return filter;
  if (filter.text.startsWith(EXCHANGE)) {
    return new MqttError(
      REASON.topicFilterInvalid,
      `${quote(text)}: exchanges can be published to; what reaches topics through one comes to their subscribers`,
    );
  }
  if (filter.text.startsWith(DELAYED)) {
    return new MqttError(
      REASON.topicFilterInvalid,
      `${quote(text)}: what is published to $delayed/SECONDS/TOPIC comes to the subscribers of TOPIC`,
    );
  }
  return excess(filter.text, limits, REASON.topicFilterInvalid) ?? filter;
}

/** What is wrong with the length of a topic or a filter, if anything. */
function excess(
  text: string,
  { maxTopicBytes, maxTopicLevels }: TopicLimits,
  reason: typeof REASON.topicNameInvalid | typeof REASON.topicFilterInvalid,
): MqttError | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxTopicBytes) {
    return new MqttError(
      reason,
      `${quote(text)} has ${bytes} bytes; at most ${maxTopicBytes} are allowed (mqtt.max_topic_bytes)`,
    );
  }
  const [, name] = split(text);
  let levels = 1;
  for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) levels++;
  if (levels <= maxTopicLevels) return undefined;
  return new MqttError(
    reason,
    `${quote(text)} has ${levels} levels; at most ${maxTopicLevels} are allowed (mqtt.max_topic_levels)`,
  );
}

/** A level that begins with anything but "$": what a wildcard in the first level stands for [MQTT-4.7.2-1]. */
const NOT_RESERVED = new LevelExpression([{ regex: "([^$][^]*)?" }]);

/** The address of a topic or, after `$queue/`, of a queue; an error when there can be none. */
export function parseTopic(text: string): Address | MqttError {
  const wrong = wrongText(text, REASON.topicNameInvalid);
  if (wrong !== undefined) return wrong;
  // [MQTT-4.7.0-1] [MQTT-3.3.2-2]
  if (/[+#]/.test(text)) return new MqttError(REASON.topicNameInvalid, `The topic ${quote(text)} has a wildcard in it`);
  if (text.startsWith(SHARE)) {
    return new MqttError(REASON.topicNameInvalid, `${quote(text)} can be subscribed to, but not published to`);
  }
  if (text.startsWith(DELAYED)) {
    return new MqttError(
      REASON.topicNameInvalid,
      `${quote(text)}: only what is published can be delayed, and only once`,
    );
  }
  if (text.startsWith(EXCHANGE)) return parseExchange(text);
  return orError(REASON.topicNameInvalid, () => {
    const [kind, name] = split(text);
    return new Address(kind, levelsOf(name));
  });
}

/** The key is all that follows the name: slashes in it are its own, and only what no topic can have is escaped. */
function parseExchange(text: string): Address | MqttError {
  const cut = text.indexOf("/", EXCHANGE.length);
  if (cut <= EXCHANGE.length) {
    return new MqttError(
      REASON.topicNameInvalid,
      `The topic ${quote(text)} is not valid; expected $exchange/NAME/KEY with a name`,
    );
  }
  const name = unescapeLevel(text.slice(EXCHANGE.length, cut));
  const key = unescapeKey(text.slice(cut + 1));
  return orError(REASON.topicNameInvalid, () => exchangeAddress(name, key));
}

function formatExchange({ levels: [name = "", key = ""] }: Address): string {
  return `${EXCHANGE}${escapeLevel(name)}/${escapeKey(key)}`;
}

/** Writes an address as MQTT has it: `parseTopic` reads the same address from it. */
export function formatTopic(address: Address): string {
  if (address.kind === "exchange") return formatExchange(address);
  let text = address.kind === "queue" ? QUEUE : "";
  for (let i = 0; i < address.levels.length; i++) text += (i > 0 ? "/" : "") + escapeLevel(address.levels[i] ?? "");
  return text;
}

/** A client identifier as a level of a topic. */
export function asLevel(clientId: string): string {
  return escapeLevel(clientId);
}

/** What a filter asks for; an error when it is none. */
export function parseFilter(text: string): Filter | MqttError {
  const wrong = wrongText(text, REASON.topicFilterInvalid);
  if (wrong !== undefined) return wrong;
  if (text !== "$share" && !text.startsWith(SHARE)) return parsePlain(undefined, text);
  const end = text.indexOf("/", SHARE.length);
  const group = text.slice(SHARE.length, end < 0 ? undefined : end);
  // [MQTT-4.8.2-1]
  if (group === "" || /[+#]/.test(group)) {
    return new MqttError(
      REASON.topicFilterInvalid,
      `The share name in ${quote(text)} is not valid; expected $share/NAME/FILTER, the name without wildcards`,
    );
  }
  // [MQTT-4.8.2-2]
  if (end < 0 || end === text.length - 1) {
    return new MqttError(REASON.topicFilterInvalid, `${quote(text)} has no filter; expected $share/NAME/FILTER`);
  }
  return parsePlain(group, text.slice(end + 1));
}

function parsePlain(group: string | undefined, text: string): Filter | MqttError {
  const [kind, name] = split(text);
  const levels: PatternLevel[] = [];
  const parts = name.split("/");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? "";
    const last = i === parts.length - 1;
    // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    if (part.length > 1 ? /[+#]/.test(part) : part === "#" && !last) {
      return new MqttError(
        REASON.topicFilterInvalid,
        `The filter ${quote(text)} is not valid; expected "+" to be a whole level, and "#" the whole last one`,
      );
    }
    const wild = part === "+" || part === "#";
    if (wild && i === 0 && kind === "topic") levels.push({ regex: NOT_RESERVED, text: NOT_RESERVED.text });
    else if (part === "+") levels.push({ any: true });
    if (part === "#") levels.push({ rest: 0 });
    else if (!wild) levels.push(unescapeLevel(part));
  }
  return orError(REASON.topicFilterInvalid, () => ({ group, text, pattern: new Pattern(kind, levels) }));
}

function wrongText(
  text: string,
  reason: typeof REASON.topicNameInvalid | typeof REASON.topicFilterInvalid,
): MqttError | undefined {
  // [MQTT-4.7.3-1]
  if (text === "" || text === QUEUE) return new MqttError(reason, `${quote(text)} is empty; expected a name`);
  // [MQTT-4.7.3-2] [MQTT-1.5.4-1]
  if (text.includes("\0") || !text.isWellFormed()) return malformed("A topic has U+0000 or a lone surrogate in it");
  // [MQTT-4.7.3-3]
  if (Buffer.byteLength(text) > 0xffff) return new MqttError(reason, "A topic has more than 65535 bytes");
  return undefined;
}

function split(text: string): [AddressKind, string] {
  return text.startsWith(QUEUE) ? ["queue", text.slice(QUEUE.length)] : ["topic", text];
}

/** The core's limits on names are refusals here. */
function orError<T>(
  reason: typeof REASON.topicNameInvalid | typeof REASON.topicFilterInvalid,
  make: () => T,
): T | MqttError {
  try {
    return make();
  } catch (error) {
    if (error instanceof BrokerError) return new MqttError(reason, error.message);
    throw error;
  }
}

function levelsOf(name: string): string[] {
  const levels = name.split("/");
  return name.includes("%") ? levels.map(unescapeLevel) : levels;
}

function unescapeLevel(text: string): string {
  // "%25" stands for "%" only where "%" alone would begin an escape.
  return text.replace(/%25(?=(?:25)*(?:2F|2B|23|00))|%(2F|2B|23|00)/g, (_escape, code: string | undefined) =>
    code === undefined ? "%" : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

function escapeLevel(level: string): string {
  return level.replace(/%(?=(?:25)*(?:2F|2B|23|00))|[/+#\0]/g, (character) =>
    character === "%" ? "%25" : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function unescapeKey(text: string): string {
  return text.replace(/%25(?=(?:25)*(?:2B|23|00))|%(2B|23|00)/g, (_escape, code: string | undefined) =>
    code === undefined ? "%" : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

function escapeKey(key: string): string {
  return key.replace(/%(?=(?:25)*(?:2B|23|00))|[+#\0]/g, (character) =>
    character === "%" ? "%25" : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
