import { createHash } from "node:crypto";
import type { Login } from "../../core/access/access.ts";
import type { Config } from "../config/schema.ts";

type KeySettings = Config["management"]["api_keys"];

/** The keys of the configuration. They are long and random, so that a plain hash of one tells nothing. */
export class ApiKeys {
  private settings: KeySettings | undefined = undefined;
  private byHash = new Map<string, Login>();

  /** Whose key it is; undefined if nobody's. */
  find(key: string, settings: KeySettings): Login | undefined {
    if (settings !== this.settings) this.read(settings);
    return this.byHash.get(apiKeyHash(key));
  }

  private read(settings: KeySettings): void {
    this.settings = settings;
    this.byHash = new Map();
    for (const [user, { hash, groups }] of Object.entries(settings)) {
      if (hash !== "") this.byHash.set(hash, { user, groups });
    }
  }
}

/** What the configuration keeps of a key. */
export function apiKeyHash(key: string): string {
  return `sha256$${createHash("sha256").update(key).digest("hex")}`;
}
