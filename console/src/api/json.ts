/** A value as REST gives it. */
export type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [name: string]: Json };

/** A row of a list, or one thing by itself: fields by name. */
export type Row = { readonly [name: string]: Json };

/** A field that holds a text; empty when it does not. */
export function text(row: Row | undefined, name: string): string {
  const value = row?.[name];
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

/** A field that holds a number; 0 when it does not. */
export function number(row: Row | undefined, name: string): number {
  const value = row?.[name];
  return typeof value === "number" ? value : 0;
}

/** Whether a field is true. */
export function flag(row: Row | undefined, name: string): boolean {
  return row?.[name] === true;
}

/** A field that holds fields; empty when it does not. */
export function record(row: Row | undefined, name: string): Row {
  const value = row?.[name];
  return isRecord(value) ? value : {};
}

/** A field that holds rows; empty when it does not. */
export function rows(row: Row | undefined, name: string): readonly Row[] {
  const value = row?.[name];
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** A field that holds texts; empty when it does not. */
export function texts(row: Row | undefined, name: string): readonly string[] {
  const value = row?.[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** Whether a value has fields. */
export function isRecord(value: Json): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Any value in few words, for a cell. */
export function brief(value: Json): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
