/** Why the core refused something; each protocol has one table from these to its own codes. */
export type ErrorCode =
  | "bad-request"
  | "bad-address"
  | "bad-selector"
  | "not-found"
  | "not-authenticated"
  | "not-authorized"
  | "in-use"
  | "exclusive"
  | "limit"
  /** Too often or too much at a time: the same may go well a little later. */
  | "throttled"
  | "too-large"
  | "full"
  | "conflict"
  | "shutting-down"
  | "internal";

/** A refusal by the core: what was found, what was expected and which setting changes it. */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, text: string) {
    super(text);
    this.name = "BrokerError";
    this.code = code;
  }
}
