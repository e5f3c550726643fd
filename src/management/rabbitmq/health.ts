import { X509Certificate } from "node:crypto";
import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";
import type { Row } from "./listing.ts";
import { vhostOf } from "./vhosts.ts";

const DAY_MS = 86_400_000;
const UNIT_DAYS: Readonly<Record<string, number>> = { days: 1, weeks: 7, months: 30, years: 365 };
/** What always holds for a broker that is one node, with no mirrors. */
const ALWAYS_WELL = [
  "virtual-hosts",
  "node-is-mirror-sync-critical",
  "node-is-quorum-critical",
  "quorum-queues-without-elected-leaders/all-vhosts",
];
/** What listeners speak, by the words that tools have for it. */
const SPOKEN: Readonly<Record<string, string>> = {
  amqp: "amqp091",
  amqp091: "amqp091",
  "amqp0.9.1": "amqp091",
  amqp10: "amqp10",
  "amqp1.0": "amqp10",
  mqtt: "mqtt",
  stomp: "stomp",
};
const read = { config: { right: "login" }, schema: { hide: true } } as const;

/** Health checks, as RabbitMQ has them. */
export function healthRoutes(app: ManagementApp, context: ManagementContext): void {
  const { health, broker } = context;
  const alarms = (): string[] => broker.engine.alarms.active.map(({ reason }) => reason);
  const unready = (): string[] => health.unready.map(({ detail }) => detail);

  for (const name of ["alarms", "local-alarms"]) {
    app.get(`/health/checks/${name}`, read, (_, reply) => told(alarms(), reply));
  }
  for (const name of ["ready-to-serve-clients", "is-in-service"]) {
    app.get(`/health/checks/${name}`, read, (_, reply) => told(unready(), reply));
  }
  for (const name of ALWAYS_WELL) app.get(`/health/checks/${name}`, read, (_, reply) => told([], reply));
  // These have always been answered with 200, whatever they say.
  for (const path of ["/healthchecks/node", "/healthchecks/node/:node"]) {
    app.get(path, read, () => {
      const reasons = unready();
      return reasons.length === 0 ? { status: "ok" } : { status: "failed", reason: reasons.join("; ") };
    });
  }
  app.get(
    "/aliveness-test/:vhost",
    { ...read, schema: { hide: true, params: Type.Object({ vhost: Type.String() }) } },
    (request, reply) => {
      vhostOf(context, request, request.params.vhost, "monitor host");
      return told(unready(), reply);
    },
  );
  ports(app, context);
}

function ports(app: ManagementApp, context: ManagementContext): void {
  const { listeners, config } = context;
  app.get(
    "/health/checks/port-listener/:port",
    { ...read, schema: { hide: true, params: Type.Object({ port: Type.Integer() }) } },
    ({ params }, reply) => {
      const there = listeners().some(({ address }) => address?.port === params.port);
      if (there) return told([], reply, { port: params.port });
      const open = listeners().flatMap(({ address }) => (address === undefined ? [] : [address.port]));
      return told([`no listener on port ${params.port}`], reply, { missing: params.port, ports: open });
    },
  );
  app.get(
    "/health/checks/protocol-listener/:protocol",
    { ...read, schema: { hide: true, params: Type.Object({ protocol: Type.String() }) } },
    ({ params }, reply) => {
      const name = params.protocol.split("/", 1)[0] ?? "";
      const wanted = Object.hasOwn(SPOKEN, name) ? SPOKEN[name] : undefined;
      const there = listeners().some(({ name: listener, address }) => {
        const protocols: readonly string[] = config().listeners[listener]?.protocols ?? [];
        return address !== undefined && wanted !== undefined && (protocols.length === 0 || protocols.includes(wanted));
      });
      if (there) return told([], reply, { protocol: params.protocol });
      return told([`no listener speaks ${params.protocol}`], reply, { missing: params.protocol });
    },
  );
  app.get(
    "/health/checks/certificate-expiration/:within/:unit",
    {
      ...read,
      schema: { hide: true, params: Type.Object({ within: Type.Integer({ minimum: 0 }), unit: Type.String() }) },
    },
    ({ params }, reply) => {
      const days = Object.hasOwn(UNIT_DAYS, params.unit) ? UNIT_DAYS[params.unit] : undefined;
      if (days === undefined) {
        const expected = Object.keys(UNIT_DAYS).join(", ");
        throw new BrokerError("bad-request", `unit: expected one of ${expected}, found "${params.unit}"`);
      }
      return told(expiring(context, context.clock.now() + params.within * days * DAY_MS), reply);
    },
  );
}

/** The ports whose certificates are over at a time. */
function expiring({ certificates }: ManagementContext, at: number): string[] {
  const { listeners, management } = certificates();
  const all = [...listeners, ...(management === undefined ? [] : [["management", management] as const])];
  return all.flatMap(([name, { credentials }]) => {
    const { validTo, validToDate } = new X509Certificate(credentials.certificate);
    return validToDate.getTime() <= at ? [`the certificate of ${name} expires on ${validTo}`] : [];
  });
}

function told(reasons: readonly string[], reply: Pick<FastifyReply, "code">, more: Row = {}): Row {
  if (reasons.length === 0) return { status: "ok", ...more };
  reply.code(503);
  return { status: "failed", reason: reasons.join("; "), ...more };
}
