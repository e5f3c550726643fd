import { startBroker, type TestBroker } from "./broker.ts";
import type { ServerParts } from "../../src/server.ts";

/** What a request came to. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** JSON as a value; anything else as text. */
  readonly body: unknown;
}

/** What a request is made of besides its method and path. */
export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is text, which is sent as it is. */
  readonly body?: unknown;
  /** `user:password`; null for none. If absent, that of an administrator. */
  readonly as?: string | null;
}

/** A broker with management, and a client of that. */
export interface TestManagement {
  readonly broker: TestBroker;
  readonly url: string;
  ask(method: string, path: string, asking?: Asking): Promise<Answer>;
  get(path: string, asking?: Asking): Promise<Answer>;
  post(path: string, body?: unknown, asking?: Asking): Promise<Answer>;
  put(path: string, body?: unknown, asking?: Asking): Promise<Answer>;
  delete(path: string, asking?: Asking): Promise<Answer>;
}

export const ADMIN = "admin:secret";

const USERS = ["security.users.admin.password=secret", "security.users.admin.groups=[admins]"];

/** Starts a broker with management on a free port and one user, admin with the password secret. */
export async function startManagement(
  settings: readonly string[] = [],
  parts: ServerParts = {},
): Promise<TestManagement> {
  const broker = await startBroker(["management.enabled=true", ...USERS, ...settings], parts);
  const url = `http://127.0.0.1:${broker.managementPort}`;
  const ask = async (method: string, path: string, asking: Asking = {}): Promise<Answer> => {
    const answer = await request(url, method, path, asking);
    // A fault of the broker, whatever a test expects; why, only its log says.
    if (answer.status === 500) throw new Error(`${method} ${path}: ${broker.log.at(-1)}`);
    return answer;
  };
  return {
    broker,
    url,
    ask,
    get: (path, asking) => ask("GET", path, asking),
    post: (path, body, asking) => ask("POST", path, { ...asking, body: body ?? {} }),
    put: (path, body, asking) => ask("PUT", path, { ...asking, body: body ?? {} }),
    delete: (path, asking) => ask("DELETE", path, asking),
  };
}

async function request(url: string, method: string, path: string, asking: Asking): Promise<Answer> {
  const { body, as = ADMIN } = asking;
  const headers: Record<string, string> = { ...asking.headers };
  if (as !== null) headers["authorization"] ??= `Basic ${Buffer.from(as).toString("base64")}`;
  if (body !== undefined) headers["content-type"] ??= "application/json";
  const init: RequestInit = { method, headers, redirect: "manual" };
  if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, headers: response.headers, body: json && text !== "" ? JSON.parse(text) : text };
}
