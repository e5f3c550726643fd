import { type Packet as Parsed, parser } from "mqtt-packet";
import { malformed, type Version } from "./errors.ts";

/** What `mqtt-packet` reads from the bytes of exactly one packet; throws `MqttError` if that is not such a packet. */
export function parse<Command extends Parsed["cmd"]>(
  command: Command,
  bytes: Buffer,
  version: Version,
): Parsed & { cmd: Command } {
  const reader = parser({ protocolVersion: version });
  let parsed: Parsed | undefined;
  let failure: string | undefined;
  reader.on("packet", (packet) => {
    parsed ??= packet;
  });
  reader.on("error", (error: unknown) => {
    failure ??= error instanceof Error ? error.message : "no reason given";
  });
  reader.parse(bytes);
  if (failure !== undefined) throw malformed(`A ${command} cannot be read: ${failure}`);
  if (parsed === undefined || !is(parsed, command)) throw malformed(`A ${command} cannot be read`);
  return parsed;
}

function is<Command extends Parsed["cmd"]>(packet: Parsed, command: Command): packet is Parsed & { cmd: Command } {
  return packet.cmd === command;
}
