import { ProtocolError } from "../../core/protocol.ts";
import type { Frame } from "./frame.ts";
import type { Version } from "./escape.ts";

/** Highest first. */
const VERSIONS: readonly Version[] = ["1.2", "1.1", "1.0"];

/** What a CONNECT asks for. */
export interface ConnectRequest {
  readonly version: Version;
  readonly host: string | undefined;
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  readonly clientId: string | undefined;
  /** Milliseconds between heart-beats: what the client can send and what it wants to receive; 0 for none. */
  readonly canSendMs: number;
  readonly wantsMs: number;
}

/** Reads a CONNECT or STOMP frame: stomp12 "Connecting", "Protocol Negotiation", "Heart-beating". */
export function readConnect(frame: Frame): ConnectRequest {
  const version = negotiate(frame.header("accept-version"));
  const [canSendMs, wantsMs] = version === "1.0" ? [0, 0] : readHeartBeat(frame.header("heart-beat"));
  return {
    version,
    host: frame.header("host"),
    login: frame.header("login"),
    passcode: frame.header("passcode"),
    clientId: frame.header("client-id"),
    canSendMs,
    wantsMs,
  };
}

function negotiate(accepted: string | undefined): Version {
  if (accepted === undefined) return "1.0";
  const offered = accepted.split(",").map((version) => version.trim());
  const common = VERSIONS.find((version) => offered.includes(version));
  if (common !== undefined) return common;
  throw new ProtocolError(`No common version: the client accepts ${accepted}, spoken here are 1.0, 1.1 and 1.2`);
}

function readHeartBeat(text: string | undefined): [number, number] {
  if (text === undefined) return [0, 0];
  const match = /^\s*(\d{1,10})\s*,\s*(\d{1,10})\s*$/.exec(text);
  if (match === null) {
    throw new ProtocolError(`heart-beat:${text} is not of the form SEND,RECEIVE in milliseconds`);
  }
  return [Number(match[1]), Number(match[2])];
}
