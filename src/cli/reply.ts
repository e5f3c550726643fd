/** Reads what management replies, which is whatever somebody at the other end sent. */
export type Row = Readonly<Record<string, unknown>>;

/** An object of a reply; one without anything when it is none. */
export function rowOf(value: unknown): Row {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** The objects of a list. */
export function rowsOf(value: unknown): Row[] {
  return Array.isArray(value) ? value.map(rowOf) : [];
}

/** A number; 0 when it is none. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/** A text; "" when it is none. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
