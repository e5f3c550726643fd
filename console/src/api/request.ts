import { signal } from "@preact/signals";
import { brief, isRecord, type Json, type Row, text } from "./json.ts";

const API = "/api/v1";

/** A request that came to nothing, in the broker's words. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }
}

/** The token that shows that a change comes from this page. */
export const csrf = signal("");

/** Whether the broker let the last request in, and could be reached at all. */
export const reach = signal<"ok" | "signed-out" | "away">("ok");

/** Whether there is no use in asking by itself now: nobody looks, or the broker lets nobody in. */
export function resting(): boolean {
  return document.hidden || reach.peek() === "signed-out";
}

/** What somebody does who is there. */
const SIGNS = ["pointerdown", "keydown", "wheel", "touchmove"] as const;
/** Whether somebody did something since the last request that said so. */
let attended = true;
for (const sign of SIGNS) {
  document.addEventListener(
    sign,
    () => {
      attended = true;
    },
    { capture: true, passive: true },
  );
}

/** What a request says besides its path. */
export interface Asking {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: Json;
  readonly query?: Readonly<Record<string, Json>>;
  readonly signal?: AbortSignal;
}

/** Finds out whether the session is of whom the page shows, and takes over its token if that is another one by now. */
let renew: () => Promise<boolean> = () => Promise.resolve(false);

/** Says how a page that has an old token gets the one of today. */
export function renewBy(way: () => Promise<boolean>): void {
  renew = way;
}

/** Asks the REST API. Throws `Problem`. */
export async function ask(path: string, asking: Asking = {}): Promise<Row> {
  try {
    return await askOnce(path, asking);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "csrf") throw error;
    // Somebody signed in anew in another tab of this browser.
    if (await renew()) return askOnce(path, asking);
    reach.value = "signed-out";
    throw error;
  }
}

async function askOnce(path: string, asking: Asking): Promise<Row> {
  const { method = "GET", body, query, signal: abort } = asking;
  const session = csrf.value;
  const headers: Record<string, string> = { accept: "application/json", authprompt: "false" };
  if (method !== "GET") headers["x-csrf-token"] = session;
  // A session is kept by whoever uses it, and not by a page that goes on asking.
  else if (!attended) headers["x-background"] = "true";
  attended = false;
  if (body !== undefined) headers["content-type"] = "application/json";
  const init: RequestInit = { method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (abort !== undefined) init.signal = abort;
  const response = await send(`${path}${queryText(query)}`, init);
  if (!response.ok) {
    // What was asked in a session before this one says nothing of this one.
    if (response.status === 401 && session === csrf.value) reach.value = "signed-out";
    throw await problemOf(response);
  }
  const reply = await read(response);
  reach.value = "ok";
  return isRecord(reply) ? reply : { value: reply };
}

/** Why the broker refused something, from its reply. */
export async function problemOf(response: Response): Promise<Problem> {
  const reply = await read(response);
  const problem = isRecord(reply) ? reply : {};
  return new Problem(response.status, text(problem, "code"), text(problem, "detail") || `HTTP ${response.status}`);
}

/** The path of something, its names as REST wants them. Throws `Problem` for a name that no browser can ask for. */
export function at(...names: readonly string[]): string {
  const lost = names.find((name) => name === "." || name === "..");
  // Even escaped they would be taken for steps in the path, and lead to something else.
  if (lost !== undefined)
    throw new Problem(0, "bad-request", `What is called "${lost}" cannot be asked for by a browser`);
  return names.map((name) => `/${encodeURIComponent(name)}`).join("");
}

/** What a failure says to whoever caused it. */
export function reasonOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

/** Whether a request failed because nobody waits for it any more. */
export function wasGivenUp(failure: unknown): boolean {
  return failure instanceof DOMException && failure.name === "AbortError";
}

/** Sends a request to the REST API. Throws `Problem` when nobody answers. */
export async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`${API}${path}`, { credentials: "same-origin", ...init });
  } catch (error) {
    if (wasGivenUp(error)) throw error;
    reach.value = "away";
    throw new Problem(0, "unreachable", "The broker does not answer");
  }
}

async function read(response: Response): Promise<Json> {
  const content = await response.text();
  if (content === "") return {};
  if (response.headers.get("content-type")?.includes("json") !== true) return { text: content };
  const value: Json = JSON.parse(content);
  return value;
}

function queryText(query: Readonly<Record<string, Json>> | undefined): string {
  if (query === undefined) return "";
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) for (const one of value) given.append(name, brief(one));
    else given.append(name, brief(value));
  }
  return given.size === 0 ? "" : `?${given}`;
}
