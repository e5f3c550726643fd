import { type Static, Type } from "typebox";
import type { Subject } from "../../../core/access/access.ts";
import type { Address } from "../../../core/addresses/address.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { SendExplanation } from "../../../core/explain.ts";
import type { ExplainedReader } from "../../../core/explain-ways.ts";
import type { Message } from "../../../core/message.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { effectivePolicy } from "../../config/effective-policy.ts";
import type { Config } from "../../config/schema.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { LimitRules, PERS } from "../../net/limit-rules.ts";
import { PolicySettings } from "../policy.ts";
import { nullable, words } from "../schemas.ts";
import { messageOf, NewMessage } from "../sending.ts";
import { SPELLED, spellingOf, spellingOfClient } from "../spellings.ts";

const Question = Type.Object(
  {
    protocol: words(SPELLED, { default: "canonical", description: "By which protocol it would be sent." }),
    destination: Type.String({ minLength: 1, maxLength: 4096, description: "As a client of the protocol writes it." }),
    user: Type.Optional(Type.String({ maxLength: 255 })),
    groups: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
    address: Type.Optional(Type.String({ maxLength: 255, description: "Where it would come from: 10.0.0.7." })),
    listener: Type.Optional(Type.String({ maxLength: 255 })),
    client_id: Type.Optional(Type.String({ maxLength: 1024 })),
    message: Type.Optional(NewMessage),
  },
  { additionalProperties: false, title: "ExplainQuestion" },
);

const Reader = Type.Object(
  {
    kind: words(["consumer", "subscription", "durable", "queue"]),
    id: Type.String(),
    via: Type.String({ description: "What leads there." }),
    user: nullable(Type.String()),
    protocol: nullable(Type.String()),
    selector: nullable(Type.String()),
    matches: Type.Boolean({ description: "Whether its selector wants the message." }),
    destination: nullable(Type.String(), "What it sees the destination as, in its protocol."),
    headers: nullable(Type.Array(Type.String()), "Headers or properties that it would get; null for all there are."),
    body: nullable(Type.String(), "How the body would come."),
  },
  { title: "ExplainedReader" },
);

const Answer = Type.Object(
  {
    destination: Type.String(),
    kind: words(["queue", "topic", "exchange"]),
    name: Type.String({ description: "Canonical." }),
    exists: Type.Boolean(),
    accepted: Type.Boolean({ description: "Whether the send would be accepted, as far as can be said." }),
    rights: Type.Array(Type.Object({ allowed: Type.Boolean(), rule: nullable(Type.String()), text: Type.String() })),
    refusals: Type.Array(Type.String()),
    notes: Type.Array(Type.String()),
    expires_at: nullable(Type.Integer()),
    policy: PolicySettings,
    readers: Type.Array(Reader),
  },
  { title: "Explanation" },
);

/** All readers of each are looked at, and there may be very many. */
const MOST_DESTINATIONS = 16;

/** What would become of a send: nothing is sent, made or counted. */
export function explainRoutes(app: ManagementApp, context: ManagementContext): void {
  app.post(
    "/hosts/:host/explain",
    {
      config: { right: "admin host" },
      schema: {
        tags: ["messages"],
        summary: "Explain what would become of a message",
        description:
          "The mapped name, the rights, the policy with its origins, the limits and the readers. One answer for each destination of a composite.",
        params: Type.Object({ host: Type.String() }),
        body: Question,
        response: { 200: Type.Array(Answer) },
      },
    },
    ({ params, body }) => {
      const host = hostOf(context, params.host);
      const config = context.config();
      const rates = ratesOf(config, host, body);
      const said = body.message ?? { body_encoding: "text", durable: true, priority: 4, retain: false };
      const addresses = spellingOf(body.protocol, config).parse(body.destination);
      if (addresses.length > MOST_DESTINATIONS) {
        const text = `The destination names ${addresses.length} destinations; at most ${MOST_DESTINATIONS} are explained at a time`;
        throw new BrokerError("bad-request", text);
      }
      return addresses.map((address) => {
        const message = messageOf(said, address, body.user, context.clock.now());
        return shown(
          config,
          host,
          address,
          message,
          withNotes(host.explainSend(address, subjectOf(body), message), rates),
          body.destination,
        );
      });
    },
  );
}

function withNotes(explanation: SendExplanation, notes: readonly string[]): SendExplanation {
  return { ...explanation, notes: [...explanation.notes, ...notes] };
}

/** How much the sender may send, by each limit that holds for it as far as it was said who it is. */
function ratesOf(
  { limits }: Config,
  host: VirtualHost,
  { user, address, listener }: Static<typeof Question>,
): string[] {
  const rules = new LimitRules(limits);
  const subjects = { user, address, listener, virtual_host: host.name, connection: user };
  return PERS.flatMap((per) => {
    const subject = subjects[per];
    const rule = subject === undefined ? undefined : rules.of(per, subject);
    if (rule === undefined) return [];
    const { messages_in: messages, bytes_in: bytes, exceeding } = rule.limit;
    const most = [...(messages > 0 ? [`${messages} messages`] : []), ...(bytes > 0 ? [`${bytes} bytes`] : [])];
    if (most.length === 0) return [];
    const who = `${per === "connection" ? "Each connection of user" : `The ${per.replace("_", " ")}`} ${subject}`;
    const beyond = exceeding === "wait" ? "waits" : "is disconnected";
    return [`${who} may send ${most.join(" and ")} a second; who sends more ${beyond} (${rule.key})`];
  });
}

function subjectOf({ user, groups = [], address, listener, client_id: clientId }: Static<typeof Question>): Subject {
  const principals = address === undefined ? [] : [{ kind: "address" as const, name: address }];
  return { user, groups, principals, listener, clientId };
}

function shown(
  config: Config,
  host: VirtualHost,
  { kind, name }: Address,
  message: Message,
  { exists, rights, refusals, notes, expiresAt, readers }: SendExplanation,
  destination: string,
): Static<typeof Answer> {
  const there = kind === "queue" ? host.queues.get(name) : host.topics.get(name);
  return {
    destination,
    kind,
    name,
    exists,
    accepted: refusals.length === 0,
    rights: rights.map(({ allowed, rule = null, text }) => ({ allowed, rule, text })),
    refusals: [...refusals],
    notes: [...notes],
    expires_at: expiresAt === 0 ? null : expiresAt,
    policy:
      kind === "exchange" ? [] : effectivePolicy(config, kind === "queue" ? "queues" : "topics", name, there?.policy),
    readers: readers.map((reader) => readerJson(config, message, reader)),
  };
}

function readerJson(
  config: Config,
  message: Message,
  { kind, id, via, subscription, selector, matches }: ExplainedReader,
): Static<typeof Reader> {
  const about = { kind, id, via, selector: selector ?? null, matches };
  if (subscription === undefined) {
    return { ...about, user: null, protocol: null, destination: null, headers: null, body: null };
  }
  const { user = null, protocol } = subscription.client;
  const { format, headers } = spellingOfClient(protocol, config);
  const { flat } = message;
  // AMQP 1.0 alone has maps and lists of its own; the others get them as JSON.
  const received = protocol === "AMQP 1.0" ? message : flat;
  const { bodyKind } = message.content;
  const body = received === flat && flat !== message ? `JSON of a ${bodyKind}` : bodyKind;
  return {
    ...about,
    user,
    protocol,
    destination: format(message.address),
    headers: headers === undefined ? null : [...headers(flat)],
    body: `${body}, ${received.body.length} bytes`,
  };
}
