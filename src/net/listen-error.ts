/** Where somebody wanted to listen. */
interface Place {
  /** In the configuration. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** What keeps a listener from listening, with the setting to change. */
export function cannotListen({ name, host, port }: Place, cause: Error): Error {
  const code = "code" in cause ? cause.code : undefined;
  const setting = `listeners.${name}`;
  if (code === "EADDRINUSE") {
    return new Error(`${setting}.port: port ${port} on ${host} is in use by another process`, { cause });
  }
  if (code === "EACCES") {
    return new Error(`${setting}.port: port ${port} on ${host} may not be opened by this user`, { cause });
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new Error(`${setting}.host: ${host} is not an address of this machine`, { cause });
  }
  return new Error(`${setting}: cannot listen on ${host} port ${port}: ${cause.message}`, { cause });
}
