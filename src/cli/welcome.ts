import { managesByTls, speaksTls } from "../config/certificates.ts";
import { type Config, PROTOCOLS } from "../config/schema.ts";
import type { RunningServer } from "../server.ts";

/** What a started broker says: what it listens on, where the data is, and commands to try it with. */
export function welcome(
  config: Config,
  server: Pick<RunningServer, "listeners" | "directory" | "management">,
  version: string,
): string[] {
  const width = Math.max(0, ...server.listeners.map(({ name }) => name.length));
  const listening = server.listeners.map(({ name, host, port }) => {
    const spoken = config.listeners[name]?.protocols ?? [];
    return `  ${name.padEnd(width)}  ${address(host, port)}  ${(spoken.length === 0 ? PROTOCOLS : spoken).join(", ")}${carriers(config, name)}`;
  });
  return [
    `Delos ${version}, broker "${config.broker.name}", is ready.`,
    "",
    "Listening on",
    ...(listening.length === 0 ? ["  nothing: no listener is enabled"] : listening),
    ...management(config, server),
    server.directory === undefined
      ? "Messages are in memory only and end with this process"
      : `Data in ${server.directory}`,
    ...examples(config, server),
    "",
  ];
}

function management(config: Config, server: Pick<RunningServer, "management">): string[] {
  if (server.management === undefined) return [];
  const { host, port } = server.management;
  const scheme = managesByTls(config) ? "https" : "http";
  return [`Management, for people and programs: ${scheme}://${address(reachable(host), port)}/`];
}

function carriers(config: Config, name: string): string {
  const { websocket, tls } = config.listeners[name] ?? {};
  const required = tls?.required === true;
  const also = websocket?.enabled === true ? ["WebSocket"] : [];
  if (speaksTls(config, name) && !required) also.push("TLS");
  return `${required ? ", by TLS only" : ""}${also.length === 0 ? "" : `, also over ${also.join(" and ")}`}`;
}

function examples(config: Config, server: Pick<RunningServer, "listeners">): string[] {
  const speaksStomp = ({ name }: { name: string }) => {
    const { protocols = [], tls } = config.listeners[name] ?? {};
    if (tls?.required === true) return false;
    return protocols.length === 0 || protocols.includes("stomp");
  };
  const listener =
    server.listeners.find((one) => one.name === "stomp" && speaksStomp(one)) ?? server.listeners.find(speaksStomp);
  if (listener === undefined) return [];
  const host = reachable(listener.host);
  const login = loginHeaders(config);
  const connect = `CONNECT\\naccept-version:1.2\\nhost:localhost\\n${login}\\n\\0`;
  const receive = `${connect}SUBSCRIBE\\nid:1\\ndestination:/queue/hello\\n\\n\\0`;
  const send = `${connect}SEND\\ndestination:/queue/hello\\n\\nHello\\0DISCONNECT\\nreceipt:bye\\n\\n\\0`;
  const lines = [
    "",
    "Try it: receive in one terminal, send in another",
    `  (printf '${receive}'; cat) | nc ${host} ${listener.port}`,
    `  printf '${send}' | nc ${host} ${listener.port}`,
  ];
  if (config.listeners[listener.name]?.websocket.enabled === true) {
    lines.push(`In a browser: new StompJs.Client({ brokerURL: "ws://${address(host, listener.port)}/" })`);
  }
  return lines;
}

/** Nothing when guests are let in; otherwise the first user, and a gap to fill in. */
function loginHeaders(config: Config): string {
  if (config.security.guest.enabled) return "";
  const [user = "USER"] = Object.keys(config.security.users);
  return `login:${user}\\npasscode:PASSWORD\\n`;
}

/** An address to connect to, for one to listen on. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function address(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
