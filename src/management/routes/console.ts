/*
 * The console: the files of dist/console, which `npm start` builds. They are read once, so that what a browser gets is of
 * one build whatever happens to the folder meanwhile, and nothing of a request's path ever names a file.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import { packageRoot } from "../../cli/package.ts";
import type { ManagementApp } from "../context.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
/** What is in here has a digest of its content in its name. */
const NAMED_BY_CONTENT = "assets/";
const NOT_BUILT =
  "The console has not been built: `npm start` does that, and so does `node console/build.ts`. " +
  "The REST API is under /api/v1; /api/v1/openapi.json describes it.\n";

interface ConsoleFile {
  readonly path: string;
  readonly type: string;
  readonly plain: Buffer;
  readonly packed: Buffer;
  readonly tag: string;
  readonly cached: string;
}

/** The web page for operators, at `/`. */
export function consoleRoutes(app: ManagementApp): void {
  const files = filesIn(join(packageRoot(), "dist/console"));
  for (const file of files) {
    app.get(file.path, { config: { right: "none" }, schema: { hide: true } }, (request, reply) =>
      send(file, request, reply),
    );
  }
  if (files.length > 0) return;
  app.get("/", { config: { right: "none" }, schema: { hide: true } }, (_request, reply) =>
    reply.code(404).type("text/plain; charset=utf-8").send(NOT_BUILT),
  );
}

function send(file: ConsoleFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers({ "cache-control": file.cached, etag: file.tag, vary: "accept-encoding" }).type(file.type);
  if (request.headers["if-none-match"]?.includes(file.tag) === true) return reply.code(304).send();
  const packs = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  if (!packs) return reply.send(file.plain);
  return reply.header("content-encoding", "gzip").send(file.packed);
}

function filesIn(folder: string): ConsoleFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TYPES[extname(entry.name)] !== undefined)
    .map(({ parentPath, name }) => {
      const plain = readFileSync(join(parentPath, name));
      const path = relative(folder, join(parentPath, name)).split(sep).join("/");
      return {
        path: path === "index.html" ? "/" : `/${path}`,
        type: TYPES[extname(name)] ?? "application/octet-stream",
        plain,
        packed: gzipSync(plain),
        tag: `"${createHash("sha1").update(plain).digest("base64url")}"`,
        cached: path.startsWith(NAMED_BY_CONTENT) ? "public, max-age=31536000, immutable" : "no-cache",
      };
    });
}
