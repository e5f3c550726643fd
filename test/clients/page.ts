import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { ROOT } from "../support/broker.ts";

const CHROMIUM = "/usr/bin/chromium";
const ARGUMENTS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PAGE = '<!doctype html><meta charset="utf-8"><title>A client in a page</title><script src="/client.js"></script>';

/** Why tests in a browser are skipped; empty when there is one. */
export const BROWSER_MISSING = existsSync(CHROMIUM) ? "" : ` (skipped: there is no ${CHROMIUM})`;

/** A browser, and a site whose page has loaded a client library. */
export interface Pages {
  readonly origin: string;
  /** Opens the page until the test is over. */
  open(): Promise<Page>;
}

/** Has a browser and a site for the tests of the `describe` it is called in; `library` is a file of a package. */
export function usePages(library: string): () => Pages {
  let pages: Pages | undefined;
  let browser: Browser | undefined;
  const script = readFileSync(join(ROOT, "node_modules", library));
  const server = createServer((request, response) => {
    const wantsScript = request.url === "/client.js";
    response.setHeader("content-type", wantsScript ? "text/javascript" : "text/html");
    response.end(wantsScript ? script : PAGE);
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("The page is served on no port");
    const origin = `http://127.0.0.1:${address.port}`;
    const launched = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
    browser = launched;
    const open = async (): Promise<Page> => {
      const page = await launched.newPage();
      onTestFinished(() => page.close());
      await page.goto(origin);
      return page;
    };
    pages = { origin, open };
  });

  afterAll(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });

  return () => {
    if (pages === undefined) throw new Error("The browser is not there yet");
    return pages;
  };
}
