/** Something that was done, or tried, and by whom. */
export interface AuditEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Undefined when nobody had logged in. */
  readonly user: string | undefined;
  /** Where it came from, `127.0.0.1:50312`; empty when the broker did it by itself. */
  readonly address: string;
  /** What was done, such as `login` or `queue.delete`. */
  readonly action: string;
  /** What it was done to: `default/queue/orders`. */
  readonly resource: string;
  /** Refused: there was no right to it. Failed: it could not be done. */
  readonly result: "ok" | "refused" | "failed";
  /** Why, in words. Never a secret, never a message. */
  readonly detail?: string;
}

/** Takes note of who did what. */
export interface AuditTrail {
  record(event: AuditEvent): void;
}

/** Takes note of nothing. */
export const NO_AUDIT: AuditTrail = { record: () => {} };
