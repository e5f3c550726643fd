/** What belongs to an event besides its text. `event` names it where the text is not always the same. */
export type LogDetails = Readonly<Record<string, unknown>>;

const SECRET = /password|passcode|token|authorization|secret|cookie/i;
const HIDDEN = "[secret]";
const DEEPEST = 6;

/** A copy without the values of secret-looking keys, of errors too, and without bytes, of which only the number is told. */
export function withoutSecrets(details: LogDetails): Record<string, unknown> {
  return cleanEntries(Object.entries(details), 1);
}

function cleanEntries(entries: Iterable<readonly [unknown, unknown]>, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Array.from(entries, ([key, value]) => [String(key), SECRET.test(String(key)) ? HIDDEN : clean(value, depth)]),
  );
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? `${value}` : value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value;
  if (depth > DEEPEST) return "[deep]";
  if (value instanceof Error) return cleanError(value, depth);
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  return cleanEntries(value instanceof Map ? value : Object.entries(value), depth + 1);
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { message, stack, cause } = error;
  return {
    type: error.constructor.name,
    message,
    stack,
    ...cleanEntries(Object.entries(error), depth + 1),
    ...(cause === undefined ? {} : { cause: clean(cause, depth + 1) }),
  };
}
