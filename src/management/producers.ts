import { Type } from "typebox";
import type { Client } from "../../core/client.ts";
import type { Route } from "../../core/routing/route.ts";
import type { VirtualHost } from "../../core/virtual-host.ts";
import { inTurns, type Work } from "../turns.ts";
import { nullable } from "./schemas.ts";
import { type Page, type PageRequest, Table } from "./table.ts";

/** Who sends somewhere, and how much it sent there. */
interface Producer {
  readonly client: Client;
  messages: number;
}

/** Clients between two looks at how long it takes. */
const AT_ONCE = 16;

/** How those are listed that send to a destination. */
export const PRODUCERS: Table<Producer> = new Table<Producer>("Producer", "connection", {
  connection: { schema: Type.String({ description: "The connection's id." }), read: ({ client }) => client.id },
  user: { schema: nullable(Type.String()), read: ({ client }) => client.user ?? null },
  protocol: { schema: Type.String(), read: ({ client }) => client.protocol },
  client_id: { schema: nullable(Type.String()), read: ({ client }) => client.clientId ?? null },
  address: {
    schema: Type.String({ description: "Where it is connected from." }),
    read: ({ client }) => client.peer.remoteAddress,
  },
  messages: {
    schema: Type.Integer({ description: "Messages it has sent here since it first did so; two looks make a rate." }),
    read: ({ messages }) => messages,
  },
  waiting_on: {
    schema: Type.String({ description: "Why the broker is not reading from it; usually for its next request." }),
    read: ({ client }) => client.waitingOn,
  },
});

/**
 * A page of those who send by routes of some kind. Nobody keeps a list of them: all clients are asked where they send, in
 * short turns. A client that sends to more than a thousand destinations may have forgotten those it used least lately.
 */
export async function listProducers(
  { clients }: VirtualHost,
  leads: (route: Route) => boolean,
  request: PageRequest,
): Promise<Page> {
  const { result } = await inTurns(producersAmong(clients, leads));
  return PRODUCERS.list({ size: result.length, values: () => result }, request);
}

function* producersAmong(clients: ReadonlySet<Client>, leads: (route: Route) => boolean): Work<Producer[]> {
  const found: Producer[] = [];
  let looked = 0;
  for (const client of clients) {
    if (++looked % AT_ONCE === 0) yield undefined;
    const routes = new Set<Route>();
    for (const route of client.routes()) if (leads(route)) routes.add(route);
    if (routes.size === 0) continue;
    let messages = 0;
    for (const { published } of routes) messages += published;
    found.push({ client, messages });
  }
  return found;
}
