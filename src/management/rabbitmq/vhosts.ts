/*
 * Virtual hosts by the names that tools for RabbitMQ know: one that answers to "/" is called that.
 */
import { subjectOf } from "../../../core/access/access.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { type Caller, callerOf, type ManagementContext } from "../context.ts";
import { checkRight, type Right } from "../rights.ts";

/** What is known of a request. */
export interface Asker {
  readonly caller: Caller | undefined;
}

/** What tools call a virtual host. */
export function vhostName({ name, settings }: VirtualHost): string {
  return settings.aliases.includes("/") ? "/" : name;
}

/** The virtual host of a name that tools know, if whoever asks has a right to it. Throws BrokerError. */
export function vhostOf(context: ManagementContext, asker: Asker, name: string, right: Right): VirtualHost {
  const wanted = name.toLowerCase();
  for (const host of context.broker.hosts.values()) {
    const names = [host.name, ...host.settings.aliases];
    if (!names.some((each) => each.toLowerCase() === wanted)) continue;
    check(context, asker, right, host);
    return host;
  }
  throw new BrokerError("not-found", `There is no virtual host ${name} (hosts)`);
}

/** Those that whoever asks may look at. */
function visibleHosts(context: ManagementContext, asker: Asker): VirtualHost[] {
  return [...context.broker.hosts.values()].filter((host) => {
    try {
      check(context, asker, "monitor host", host);
      return true;
    } catch (refusal) {
      if (refusal instanceof BrokerError) return false;
      throw refusal;
    }
  });
}

/** The virtual host of a name, or without a name all that whoever asks may look at. Throws BrokerError. */
export function hostsOf(context: ManagementContext, asker: Asker, name: string | undefined): VirtualHost[] {
  return name === undefined ? visibleHosts(context, asker) : [vhostOf(context, asker, name, "monitor host")];
}

function check({ broker }: ManagementContext, asker: Asker, right: Right, { name, settings }: VirtualHost): void {
  const { login, peer } = callerOf(asker);
  checkRight(broker.access, subjectOf(login, peer), right, name, broker.name, settings.realm);
}
