/** What is known by the names that clients call a server: whole names, and `*.example.org` for one label more. */
export class ServerNames<T> {
  readonly #whole = new Map<string, T>();
  /** By what follows the asterisk. */
  readonly #wildcards = new Map<string, T>();

  /** Adds what is known by a name or wildcard, unless something is already. */
  add(pattern: string, value: T): void {
    const name = plainName(pattern);
    const wildcard = name.startsWith("*.");
    const known = wildcard ? this.#wildcards : this.#whole;
    const key = wildcard ? name.slice(1) : name;
    if (!known.has(key)) known.set(key, value);
  }

  /** What is known by a name; its own entry comes before that of a wildcard [RFC 6125 6.4.3]. */
  find(serverName: string): T | undefined {
    const name = plainName(serverName);
    const dot = name.indexOf(".");
    return this.#whole.get(name) ?? (dot > 0 ? this.#wildcards.get(name.slice(dot)) : undefined);
  }
}

function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
