import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import type { Client } from "../../../core/client.ts";
import type { Delivery } from "../../../core/protocol.ts";
import type { Message } from "../../../core/message.ts";
import { BrokerError } from "../../../core/errors.ts";
import { compileSelector } from "../../../core/selector/selector.ts";
import { callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { type HolderKind, HOLDER_KINDS } from "../holders.ts";
import { HostClient } from "../host-client.ts";
import { type BodyWish, ShownMessage, showMessage } from "../shown-message.ts";
import { words } from "../schemas.ts";

const HolderParams = Type.Object({ host: Type.String(), name: Type.String() });

const BrowseQuery = Type.Object(
  {
    from: Type.Integer({ default: 0, minimum: 0, description: "The place to begin at." }),
    to: Type.Optional(Type.Integer({ minimum: 0, description: "The last place to show." })),
    skip: Type.Integer({ default: 0, minimum: 0, description: "How many of them to pass over." }),
    max: Type.Integer({ default: 100, minimum: 1, maximum: 1000, description: "How many at most." }),
    max_body: Type.Integer({
      default: 4096,
      minimum: 0,
      maximum: 16_777_216,
      description: "Bytes to show of each body; the reply as a whole is cut at 32 MiB.",
    }),
    selector: Type.Optional(Type.String({ maxLength: 65_536, description: "Only messages that it matches." })),
    body: words(["auto", "base64"], { default: "auto" }),
  },
  { additionalProperties: false },
);

const Browsed = Type.Object(
  {
    last_sequence: Type.Integer({ description: "The place of the newest message there is." }),
    total_messages: Type.Integer({ description: "Messages there are in all." }),
    more: Type.Boolean({ description: "Whether the reply ends before the messages do." }),
    messages: Type.Array(ShownMessage, { description: "By priority, then by place." }),
  },
  { title: "Messages" },
);

/** Messages are read from the store a piece at a time; if that takes longer, what is there by then is shown. */
const PATIENCE_MS = 10_000;
const MOST_BYTES = 32 * 1024 * 1024;
/** About what a message says besides its body. */
const HEAD_BYTES = 1024;

/** Bytes of all replies together that are being made, or that somebody has still to read. */
const MOST_BYTES_UNDER_WAY = 8 * MOST_BYTES;

/** Looking at messages, which stay as they are. */
export function messageRoutes(app: ManagementApp, context: ManagementContext): void {
  let underWay = 0;
  const reserve = ({ max, max_body: maxBody }: Pick<Wanted, "max" | "max_body">, { raw }: FastifyReply): void => {
    const bytes = Math.min(max * (maxBody + HEAD_BYTES), MOST_BYTES);
    if (underWay + bytes > MOST_BYTES_UNDER_WAY) {
      throw new BrokerError("full", "Too many messages are being looked at; try again in a moment, or ask for less");
    }
    underWay += bytes;
    raw.once("close", () => {
      underWay -= bytes;
    });
  };
  for (const holder of HOLDER_KINDS) {
    app.get(
      `/hosts/:host/${holder.segment}/:name/messages`,
      {
        config: { right: "monitor host", bodies: true },
        schema: {
          tags: [holder.tag],
          summary: "Look at its messages",
          description: "The caller needs the right to receive from it too. They stay as they are.",
          params: HolderParams,
          querystring: BrowseQuery,
          response: { 200: Browsed },
        },
      },
      async (request, reply) => {
        const { params, query } = request;
        const host = hostOf(context, params.host);
        const queue = holder.find(host, params.name);
        reserve(query, reply);
        const own = new HostClient(host, callerOf(request));
        try {
          const wanted = {
            ...query,
            selector: query.selector === undefined ? undefined : compileSelector(query.selector),
            to: query.to ?? Number.POSITIVE_INFINITY,
          };
          const { messages, more } = await browse(context, own.client, holder, params.name, wanted);
          return { last_sequence: queue.lastSequence, total_messages: queue.count, more, messages };
        } finally {
          own.close();
        }
      },
    );
  }
}

interface Wanted {
  readonly from: number;
  readonly to: number;
  readonly skip: number;
  readonly max: number;
  readonly max_body: number;
  readonly selector: ReturnType<typeof compileSelector> | undefined;
  readonly body: BodyWish;
}

type Shown = ReturnType<typeof showMessage>;

function browse(
  { clock }: ManagementContext,
  client: Client,
  holder: HolderKind,
  name: string,
  wanted: Wanted,
): Promise<{ messages: Shown[]; more: boolean }> {
  const messages: Shown[] = [];
  let bytes = 0;
  let skipped = 0;
  let ended = false;
  return new Promise((resolve, reject) => {
    const timer = clock.after(PATIENCE_MS, () => end(true));
    const end = (more: boolean): void => {
      if (ended) return;
      ended = true;
      timer.cancel();
      resolve({ messages, more });
    };
    const deliver = (message: Message, delivery: Delivery | undefined, deliveries: number): boolean => {
      const sequence = delivery?.sequence ?? 0;
      if (ended || sequence > wanted.to) return !ended;
      if (skipped < wanted.skip) {
        skipped++;
        return true;
      }
      if (messages.length === wanted.max || bytes > MOST_BYTES) {
        end(true);
        return false;
      }
      messages.push(showMessage(message, { sequence, deliveries }, wanted.max_body, wanted.body));
      bytes += Math.min(message.size, wanted.max_body);
      return true;
    };
    client.subscribe({
      ...holder.subscribe(name),
      selector: wanted.selector,
      browse: { end: true, fromSequence: wanted.from },
      settling: false,
      details: true,
      credit: { messages: 0, bytes: 0 },
      consumer: {
        deliver,
        exhausted: () => end(false),
        cancelled: (reason) => {
          timer.cancel();
          reject(new BrokerError("not-found", reason));
        },
      },
    });
  });
}
