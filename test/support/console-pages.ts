import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { buildConsole } from "../../console/build.ts";
import type { ServerParts } from "../../src/server.ts";
import { startManagement, type TestManagement } from "./management.ts";

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

/** Why tests of the console are skipped; empty when there is a browser. */
export const BROWSER_MISSING = existsSync(CHROMIUM) ? "" : ` (skipped: there is no ${CHROMIUM})`;

/** How long a page on a busy machine may take to show something. */
export const SOON = { timeout: 15_000 };

/** A request that a page made. */
export interface PageRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** The console in a browser, and the broker that serves it. */
export interface ConsolePage {
  readonly page: Page;
  readonly management: TestManagement;
  /** What the page complained of: errors, and replies that say that something failed. */
  readonly complaints: string[];
  readonly requests: PageRequest[];
  /** Goes to a page of the console by what follows the `#/` in its address. */
  readonly go: (address: string) => Promise<void>;
}

/** How to open the console. */
export interface Opening {
  readonly settings?: readonly string[];
  /** False to stay where one signs in. */
  readonly signIn?: boolean;
  readonly width?: number;
  readonly height?: number;
  readonly colours?: "light" | "dark";
  readonly parts?: ServerParts;
  /** True to come over TLS, with any certificate. */
  readonly secure?: boolean;
}

/** Has a browser and a built console for the tests of the `describe` it is called in. */
export function useConsole(): (opening?: Opening) => Promise<ConsolePage> {
  let browser: Browser | undefined;
  beforeAll(async () => {
    await buildConsole();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  }, 120_000);
  afterAll(() => browser?.close());

  return async (opening = {}) => {
    const { settings = [], signIn = true, width = 1300, height = 800, colours = "light", parts = {} } = opening;
    if (browser === undefined) throw new Error("The browser is not there yet");
    const management = await startManagement(settings, parts);
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: colours,
      ignoreHTTPSErrors: opening.secure === true,
    });
    const page = await context.newPage();
    onTestFinished(async ({ task }) => {
      if (task.result?.state === "fail") console.log(`The page at ${page.url()}:\n${await page.innerText("body")}`);
      await context.close();
    });
    const complaints: string[] = [];
    const requests: PageRequest[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) =>
      requests.push({ method: request.method(), url: new URL(request.url()), headers: request.headers() }),
    );
    page.on("dialog", (dialog) => {
      complaints.push(`a script has said ${dialog.message()}`);
      void dialog.dismiss();
    });
    const url = opening.secure === true ? management.url.replace("http:", "https:") : management.url;
    await page.goto(url);
    if (signIn) await signInAs(page, "admin", "secret");
    const go = async (address: string): Promise<void> => {
      await page.goto(`${url}/#/${address}`);
    };
    return { page, management, complaints, requests, go };
  };
}

/** Fills in the form of whoever is not signed in. */
export async function signInAs(page: Page, user: string, password: string): Promise<void> {
  await page.getByRole("heading", { name: "Sign in to Delos" }).waitFor();
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}
