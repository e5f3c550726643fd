import { computed, signal } from "@preact/signals";

/** Where somebody is: `#/queues/orders?tab=messages` is ["queues", "orders"] and a query. */
export interface Place {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const hash = signal(location.hash);
window.addEventListener("hashchange", () => {
  hash.value = location.hash;
});

/** Where somebody is now. */
export const place = computed<Place>(() => {
  const [path = "", query = ""] = hash.value.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
});

/** The address of a page within the console. */
export function link(path: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") given.set(name, value);
  const asked = given.size === 0 ? "" : `?${given}`;
  return `#/${path.map(encodeURIComponent).join("/")}${asked}`;
}

/** Goes to a page. */
export function go(path: readonly string[], query?: Readonly<Record<string, string | undefined>>): void {
  location.hash = link(path, query);
}

/** Changes the query of this page, without a step in the browser's history. */
export function alter(changes: Readonly<Record<string, string | undefined>>): void {
  const { path, query } = place.peek();
  history.replaceState(null, "", link(path, { ...Object.fromEntries(query), ...changes }));
  hash.value = location.hash;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
