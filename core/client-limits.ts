import type { Client } from "./client.ts";

/** Decides how many clients there may be, and of whom. */
export interface ClientLimits {
  /** Counts a client that is about to be let in. Throws BrokerError "limit" or "throttled", and then counts nothing. */
  admit(client: Client): void;
  /** A client that was counted is gone. */
  release(client: Client): void;
}
