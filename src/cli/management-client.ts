/*
 * Commands that ask a running broker do so over its management API, with the rights of whoever is logged in:
 *
 *     command -> ManagementClient -> HTTP -> management -> JSON, or a problem that becomes one sentence and an exit code
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { type IncomingMessage, request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { buffer } from "node:stream/consumers";
import type { ParseArgsOptionsConfig } from "node:util";
import { EXIT, UsageError } from "./arguments.ts";
import { ManagementError } from "./management-error.ts";
import { readPassword } from "./password-input.ts";
import { rowOf, textOf } from "./reply.ts";

const DEFAULT_URL = "http://127.0.0.1:61680";
const DEFAULT_HOST = "default";
const API = "/api/v1";
/** What RabbitMQ's own tools ask. */
const RABBIT_API = "/api";
/** Nothing came for so long: the broker is stuck or somebody else listens there. */
const SILENCE_MS = 90_000;

/** Options that commands share that ask a running broker. */
export const REMOTE_OPTIONS = {
  url: { type: "string" },
  user: { type: "string", short: "u" },
  "password-file": { type: "string" },
  "api-key-file": { type: "string" },
  ca: { type: "string" },
  vhost: { type: "string" },
  json: { type: "boolean", default: false },
} as const satisfies ParseArgsOptionsConfig;

/** What a help text says about them. */
export const REMOTE_HELP = `      --url URL      where management is (DELOS_URL); otherwise ${DEFAULT_URL}
  -u, --user NAME    who asks (DELOS_USER); otherwise admin
      --password-file FILE
                     has the password (DELOS_PASSWORD_FILE, or DELOS_PASSWORD the password itself);
                     otherwise it is asked for
      --api-key-file FILE
                     has a key instead of user and password (DELOS_API_KEY_FILE, DELOS_API_KEY)
      --ca FILE      certificates to trust, for https (DELOS_CA)
      --vhost NAME   the virtual host (DELOS_VHOST); otherwise ${DEFAULT_HOST}
      --json         print what the broker replied, for programs

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 the broker cannot be reached, 4 not allowed.`;

/** What the options say, read by `readOptions`. */
export interface RemoteChoice {
  readonly url?: string | undefined;
  readonly user?: string | undefined;
  readonly "password-file"?: string | undefined;
  readonly "api-key-file"?: string | undefined;
  readonly ca?: string | undefined;
  readonly vhost?: string | undefined;
}

/** Management of one broker, as whoever the options name. */
export class ManagementClient {
  private readonly url: URL;
  private readonly authorization: string;
  private readonly ca: string | undefined;
  /** The path of the virtual host that was chosen. */
  private readonly hostPath: string;

  private constructor(url: URL, authorization: string, choice: RemoteChoice) {
    this.url = url;
    this.authorization = authorization;
    const ca = choice.ca ?? environment("DELOS_CA");
    this.ca = ca === undefined ? undefined : certificatesIn(ca);
    this.hostPath = `/hosts/${encodeURIComponent(choice.vhost ?? environment("DELOS_VHOST") ?? DEFAULT_HOST)}`;
  }

  /** Finds out where the broker is and who asks; may ask for a password. Throws UsageError. */
  static async open(choice: RemoteChoice): Promise<ManagementClient> {
    const url = urlOf(choice.url ?? environment("DELOS_URL") ?? DEFAULT_URL);
    return new ManagementClient(url, await authorizationOf(choice), choice);
  }

  /** Asks about the broker as a whole: `path` begins behind /api/v1. Rejects with ManagementError. */
  ask(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.exchange(method, `${API}${path}`, body);
  }

  /** Definitions of the whole broker, or of one virtual host, out and in. Rejects with ManagementError. */
  definitions(method: "GET" | "POST", vhost: string | undefined, body?: unknown): Promise<unknown> {
    const path = vhost === undefined ? "" : `/${encodeURIComponent(vhost)}`;
    return this.exchange(method, `${RABBIT_API}/definitions${path}`, body);
  }

  /** Asks about the virtual host: `segments` are names as they are. */
  askHost(method: string, segments: readonly string[], query: URLSearchParams | undefined, body?: unknown) {
    const path = segments.map((segment) => `/${encodeURIComponent(segment)}`).join("");
    const search = query === undefined || query.size === 0 ? "" : `?${query.toString()}`;
    return this.ask(method, `${this.hostPath}${path}${search}`, body);
  }

  /** A reply that may be large, to be read by whoever asks. Rejects with ManagementError. */
  async download(method: string, path: string): Promise<IncomingMessage> {
    const response = await this.send(method, `${API}${path}`, undefined);
    const { statusCode = 0 } = response;
    if (statusCode < 400) return response;
    throw problemError(parsed((await this.whole(response)).toString()), statusCode);
  }

  /** The reasons why it is not ready; empty when it is. */
  async notReady(): Promise<string> {
    const response = await this.send("GET", "/readyz", undefined);
    const text = (await this.whole(response)).toString().trim();
    return response.statusCode === 200 ? "" : text;
  }

  private async exchange(method: string, path: string, body: unknown): Promise<unknown> {
    const response = await this.send(method, path, body);
    const text = (await this.whole(response)).toString();
    const isJson = response.headers["content-type"]?.includes("json") === true;
    const value = isJson && text !== "" ? parsed(text) : text;
    const { statusCode = 0 } = response;
    if (statusCode >= 400 || statusCode === 0) throw problemError(value, statusCode);
    return value;
  }

  private async whole(response: IncomingMessage): Promise<Buffer> {
    try {
      return await buffer(response);
    } catch (error) {
      throw this.unreachable(error);
    }
  }

  private send(method: string, path: string, body: unknown): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      headers: {
        authorization: this.authorization,
        // A browser would ask for a password; a program wants to hear that it is wrong.
        authprompt: "false",
        ...(payload === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
      },
      timeout: SILENCE_MS,
    };
    const at = new URL(`${this.url.pathname.replace(/\/$/, "")}${path}`, this.url);
    return new Promise((resolve, reject) => {
      const request =
        at.protocol === "https:"
          ? httpsRequest(at, { ...options, ...(this.ca === undefined ? {} : { ca: this.ca }) }, resolve)
          : httpRequest(at, options, resolve);
      request.once("error", (error) => reject(this.unreachable(error)));
      request.once("timeout", () => request.destroy(new Error(`it said nothing for ${SILENCE_MS / 1000} seconds`)));
      request.end(payload);
    });
  }

  private unreachable(error: unknown): ManagementError {
    let why = error instanceof Error ? reason(error) : String(error);
    if (why === "socket hang up" && this.url.protocol === "http:") {
      why = "it ended the connection without a word; does it speak TLS only, and expects an https:// URL?";
    }
    return new ManagementError(`There is no management at ${this.url.origin}: ${why}`, EXIT.unreachable);
  }
}

/** A setting that is in the environment and not empty. */
function environment(name: string): string | undefined {
  return process.env[name] || undefined;
}

function urlOf(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && (url.username !== "" || url.password !== "")) {
    throw new UsageError(
      "--url: a login does not belong there, where others can read it; see --user and --password-file",
    );
  }
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new UsageError(`--url: "${text}" is no URL; expected something like ${DEFAULT_URL}`);
}

async function authorizationOf(choice: RemoteChoice): Promise<string> {
  const key = secretOf("--api-key-file", choice["api-key-file"], "DELOS_API_KEY");
  if (key !== undefined && choice.user === undefined) {
    if (/^[\x21-\x7e]+$/.test(key)) return `Bearer ${key}`;
    throw new UsageError("the API key is empty or has characters that no key has");
  }
  const user = choice.user ?? environment("DELOS_USER") ?? "admin";
  const given = secretOf("--password-file", choice["password-file"], "DELOS_PASSWORD");
  if (given === undefined && !process.stdin.isTTY) {
    throw new UsageError(
      `the password of ${user} is missing: put it into a file for --password-file, or into DELOS_PASSWORD`,
    );
  }
  const password = given ?? (await readPassword(`Password of ${user}: `));
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** What an option's file has, or the environment: the value itself, or a file. */
function secretOf(option: string, file: string | undefined, variable: string): string | undefined {
  if (file !== undefined) return firstLineOf(option, file);
  const named = environment(`${variable}_FILE`);
  return environment(variable) ?? (named === undefined ? undefined : firstLineOf(`${variable}_FILE`, named));
}

function firstLineOf(option: string, file: string): string {
  return readText(option, file).split(/\r?\n/, 1)[0] ?? "";
}

function readText(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Node passes over what is no certificate, and then trusts nobody. */
function certificatesIn(file: string): string {
  const text = readText("--ca", file);
  try {
    void new X509Certificate(text);
    return text;
  } catch {
    throw new UsageError(`--ca: ${file} holds no certificate; expected PEM`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function problemError(value: unknown, status: number): ManagementError {
  const row = rowOf(value);
  const detail = textOf(row["detail"]) || textOf(row["reason"]) || undefined;
  const code = status === 401 || status === 403 ? EXIT.refused : EXIT.failed;
  return new ManagementError(
    detail ?? `The reply is HTTP ${status}, which management of Delos never says`,
    code,
    status,
  );
}

/** In a sentence: a connection that is tried at several addresses fails with all of their errors, and no text. */
function reason(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "nobody listens there; is the broker running, with management.enabled?";
  if (/^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)/.test(code)) {
    return `its certificate is not trusted (${code}); --ca names those to trust`;
  }
  if (code === "EPROTO") return "it does not speak TLS; expected an http:// URL?";
  return error.message === "" ? code : error.message.trim();
}
