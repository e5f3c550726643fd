import { setImmediate } from "node:timers/promises";
import type { Login } from "../../core/access/access.ts";
import type { Broker } from "../../core/broker.ts";
import type { Client } from "../../core/client.ts";
import { BrokerError } from "../../core/errors.ts";

/** Clients that are looked at before others have their turn. */
const SLICE = 256;

/**
 * Looks again at the logins of all clients, or of those that `concerns` is true of: who may not log in any more, or would be
 * somebody else, is told to go; who is in other groups now has these.
 */
export async function reviewLogins(broker: Broker, concerns?: (login: Login) => boolean): Promise<void> {
  const all = [...broker.hosts.values()].flatMap((host) => [...host.clients]);
  const clients = concerns === undefined ? all : all.filter(({ login }) => concerns(login));
  for (const [place, client] of clients.entries()) {
    if (place % SLICE === SLICE - 1) await setImmediate();
    await review(broker, client);
  }
}

async function review(broker: Broker, client: Client): Promise<void> {
  const { login } = client;
  try {
    const now = await broker.review(login, client.peer);
    // It may have logged in anew meanwhile.
    if (client.closed || client.login !== login || isSame(now, login)) return;
    client.renewLogin(now);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (client.login === login) client.evict(error.message, "expired");
  }
}

function isSame(one: Login, other: Login): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}
