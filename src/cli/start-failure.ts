import type { Config } from "../config/schema.ts";
import { joinKey } from "../config/setting.ts";

/** Why a broker did not start, for the operator. */
export interface StartFailure {
  /** What is wrong, naming the setting that changes it. */
  readonly sentence: string;
  /** False for a fault of the broker's own, whose stack is worth having. */
  readonly expected: boolean;
}

/** Puts an error of the start into one sentence. Errors that are a sentence already keep it. */
export function startFailure(error: unknown, config: Config): StartFailure {
  if (!(error instanceof Error)) return { sentence: String(error), expected: false };
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const raw = code !== undefined && error.message.includes(code);
  if (!raw) return { sentence: error.message, expected: error.constructor === Error || code !== undefined };
  if ("syscall" in error && error.syscall === "listen")
    return { sentence: listenFailure(error, code, config), expected: true };
  if ("syscall" in error) return { sentence: dataFailure(error.message, code, config), expected: true };
  return { sentence: error.message, expected: false };
}

function listenFailure(error: Error, code: string, config: Config): string {
  const port = "port" in error ? error.port : undefined;
  const name = Object.entries(config.listeners).find(([, listener]) => listener.enabled && listener.port === port)?.[0];
  const key = `${joinKey("listeners", name ?? "NAME")}.port`;
  switch (code) {
    case "EADDRINUSE":
      return `Port ${String(port)} is in use by another process; stop it or choose another port with ${key}.`;
    case "EACCES":
      return `Port ${String(port)} may not be used by this user; choose one from 1024 on with ${key}.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `This machine has no such address to listen on; change ${joinKey("listeners", name ?? "NAME")}.host (${error.message}).`;
    default:
      return `Cannot listen on port ${String(port)}, which ${key} says: ${error.message}.`;
  }
}

function dataFailure(message: string, code: string, config: Config): string {
  const { directory } = config.store;
  const advice = "choose another with store.directory";
  switch (code) {
    case "EACCES":
    case "EPERM":
      return `The data directory ${directory} may not be used by this user; change its rights or ${advice}.`;
    case "EROFS":
      return `The data directory ${directory} is on a file system that is read-only; ${advice}.`;
    case "ENOSPC":
      return `There is no space left for the data directory ${directory}; make some or ${advice}.`;
    case "ENOTDIR":
    case "EEXIST":
      return `The data directory ${directory} is not a directory; ${advice}.`;
    default:
      return `The data directory ${directory} cannot be used (${message}); ${advice}.`;
  }
}
