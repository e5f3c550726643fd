import { type Static, Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import type { Listener } from "../../net/listener.ts";
import { REFUSALS, type Refusal } from "../../net/refusal.ts";
import { inTurns, type Work } from "../../turns.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";

const REFUSED: Readonly<Record<Refusal, string>> = {
  full: "Nobody more could wait: max_connections, and as many again as wait for others to go.",
  limits: "Too many of its address or of the listener, or too fast.",
  proxy: "No header of the PROXY protocol where one is needed, a broken one, or one of somebody who may send none.",
  tls: "A failed handshake, no TLS where it is required, or TLS where there is no certificate.",
  websocket: "Plain HTTP, an origin or a subprotocol that is not allowed, or a broken request.",
  protocol: "First bytes that no protocol knows.",
  timeout: "No protocol known in time (detection.timeout).",
};

const Shown = Type.Object(
  {
    name: Type.String(),
    state: Type.Union([Type.Literal("listening"), Type.Literal("stopped"), Type.Literal("off")], {
      description: "Off: it is not enabled, or requires TLS and has no certificate.",
    }),
    host: Type.String(),
    port: Type.Integer(),
    protocols: Type.Array(Type.String(), { description: "None means all." }),
    websocket: Type.Boolean(),
    tls: Type.Union([Type.Literal("none"), Type.Literal("offered"), Type.Literal("required")]),
    connections: Type.Integer({ description: "Connections whose protocol is known." }),
    accepted: Type.Integer({ description: "Connections so far." }),
    failed_handshakes: Type.Integer({ description: "TLS handshakes that failed so far." }),
    refused: Type.Object(
      Object.fromEntries(REFUSALS.map((cause) => [cause, Type.Integer({ description: REFUSED[cause] })])),
      { description: "Connections that were refused so far, by the reason." },
    ),
    max_connections: Type.Integer(),
  },
  { title: "Listener" },
);
const Params = Type.Object({ listener: Type.String() });
const StopQuery = Type.Object(
  {
    connections: Type.Union([Type.Literal("keep"), Type.Literal("close")], {
      default: "keep",
      description: "What becomes of those who are connected.",
    }),
  },
  { additionalProperties: false },
);
const tags = ["listeners"];

/** The ports of protocols: looked at, stopped and started. */
export function listenerRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/listeners",
    {
      config: { right: "monitor broker" },
      schema: { tags, summary: "List", response: { 200: Type.Array(Shown) } },
    },
    () => Object.keys(context.config().listeners).map((name) => shownOf(context, name)),
  );

  app.get(
    "/listeners/:listener",
    {
      config: { right: "monitor broker" },
      schema: { tags, summary: "Look at one", params: Params, response: { 200: Shown } },
    },
    ({ params }) => shownOf(context, params.listener),
  );

  app.post(
    "/listeners/:listener/stop",
    {
      config: { right: "admin broker", audit: "listener.stop" },
      schema: {
        tags,
        summary: "Accept no more connections, until it is started or the broker is",
        params: Params,
        querystring: StopQuery,
        response: { 200: Shown },
      },
    },
    async ({ params, query }) => {
      const listener = listenerOf(context, params.listener);
      listener.close();
      if (query.connections === "close") await inTurns(sendAway(listener));
      return shownOf(context, listener.name);
    },
  );

  app.post(
    "/listeners/:listener/start",
    {
      config: { right: "admin broker", audit: "listener.start" },
      schema: { tags, summary: "Accept connections again", params: Params, response: { 200: Shown } },
    },
    async ({ params }) => {
      const listener = listenerOf(context, params.listener);
      if (listener.address === undefined) await listening(listener);
      return shownOf(context, listener.name);
    },
  );
}

/** Says goodbye to those who are there now; they may be very many. */
function* sendAway({ connections }: Listener): Work<undefined> {
  for (const connection of Array.from(connections)) {
    if (connections.has(connection)) connection.shutdown("the listener was stopped by an operator");
    yield undefined;
  }
  return undefined;
}

/** Throws BrokerError when another program has taken the port meanwhile. */
async function listening(listener: Listener): Promise<void> {
  try {
    await listener.listen();
  } catch (error) {
    throw new BrokerError("conflict", error instanceof Error ? error.message : String(error));
  }
}

/** Throws BrokerError when it is not there, or not enabled. */
function listenerOf({ listeners, config }: ManagementContext, name: string): Listener {
  const listener = listeners().find((each) => each.name === name);
  if (listener !== undefined) return listener;
  if (config().listeners[name] === undefined) throw new BrokerError("not-found", `There is no listener ${name}`);
  throw new BrokerError(
    "conflict",
    `The listener ${name} is off: it is not enabled, or has no certificate (listeners.${name}); that needs a restart`,
  );
}

function shownOf({ listeners, config, certificates }: ManagementContext, name: string): Static<typeof Shown> {
  const settings = config().listeners[name];
  if (settings === undefined) throw new BrokerError("not-found", `There is no listener ${name}`);
  const running = listeners().find((listener) => listener.name === name);
  const { host, port } = running?.address ?? settings;
  const tls = certificates().listeners.get(name);
  return {
    name,
    state: running === undefined ? "off" : running.address === undefined ? "stopped" : "listening",
    host,
    port,
    protocols: [...settings.protocols],
    websocket: settings.websocket.enabled,
    tls: tls === undefined ? "none" : tls.required ? "required" : "offered",
    connections: running?.connections.size ?? 0,
    accepted: running?.accepted ?? 0,
    failed_handshakes: running?.failedHandshakes ?? 0,
    refused: Object.fromEntries(REFUSALS.map((cause) => [cause, running?.refused[cause] ?? 0])),
    max_connections: settings.max_connections,
  };
}
