import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, type PageRequest, useConsole } from "../support/console-pages.ts";
import type { TestManagement } from "../support/management.ts";

/** Pages about one thing, which the list of pages does not name. */
const ABOUT_ONE = [
  "queues/orders",
  "queues/orders?tab=messages",
  "queues/orders?tab=consumers",
  "queues/orders?tab=policy",
  "topics/news.sport",
  "topics/news.sport?tab=subscribers",
  "durable-subscriptions/archive",
  "exchanges/amq.topic",
];

interface Documented {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

describe.skipIf(BROWSER_MISSING !== "")(`the pages of the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("all load without a complaint, and ask nobody but the broker, for what its document knows", async () => {
    const { page, management, complaints, requests, go } = await open();
    await fill(management);
    const links = page.getByRole("navigation", { name: "Pages" }).getByRole("listitem").getByRole("link");
    const addresses = await links.evaluateAll((all) => all.map((one) => one.getAttribute("href") ?? ""));
    expect(addresses.length).toBeGreaterThan(15);
    for (const address of [...addresses.map((href) => href.replace("#/", "")), ...ABOUT_ONE]) {
      await go(address);
      await page.locator("main h1").waitFor();
      await page.waitForLoadState("networkidle");
      expect(await page.getByRole("alert").allTextContents(), address).toEqual([]);
      expect(complaints, address).toEqual([]);
    }
    expect(new Set(requests.map(({ url }) => url.origin))).toEqual(new Set([management.url]));
    const { body } = await management.get("/api/v1/openapi.json");
    expect(unknownRequests(requests, body)).toEqual([]);
  }, 60_000);

  it("fit a telephone: nothing is wider than the screen, and the list of pages opens and closes", async () => {
    const { page, management, go } = await open({ width: 390 });
    await fill(management);
    for (const address of ["overview", "queues", "queues/orders?tab=messages", "connections"]) {
      await go(address);
      await page.locator("main h1").waitFor();
      const beyond = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
      expect(beyond, address).toBe(0);
    }
    const queues = page.getByRole("link", { name: "Queues", exact: true }).first();
    expect(await queues.isVisible()).toBe(false);
    await page.getByRole("button", { name: "Pages" }).click();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Topics" }).click();
    await page.getByRole("heading", { name: "Topics" }).waitFor();
    await expect.poll(() => queues.isVisible(), SOON).toBe(false);
  });
});

async function fill(management: TestManagement): Promise<void> {
  const host = "/api/v1/hosts/default";
  await management.put(`${host}/queues/orders`);
  await management.put(`${host}/topics/news.sport`);
  await management.put(`${host}/durable-subscriptions/archive`, { topics: ["news.**"] });
  await management.post(`${host}/queues/orders/messages`, { body: "one" });
  await management.post(`${host}/queues/orders/messages`, { body: "later", delay_ms: 3_600_000 });
  await management.put(`${host}/retained/news.sport`, { body: "kept" });
}

/** Requests to the API that no path of the OpenAPI document describes. */
function unknownRequests(requests: readonly PageRequest[], document: unknown): string[] {
  if (!isDocument(document)) throw new Error("There is no OpenAPI document");
  const known = Object.entries(document.paths).flatMap(([path, methods]) => {
    const pattern = new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`);
    return Object.keys(methods).map((method) => ({ method: method.toUpperCase(), pattern }));
  });
  return requests
    .filter(({ url }) => url.pathname.startsWith("/api/"))
    .map(({ method, url }) => `${method} ${url.pathname}`)
    .filter(
      (asked) =>
        !known.some(
          ({ method, pattern }) => asked === `${method} ${pattern.exec(asked.slice(method.length + 1))?.[0]}`,
        ),
    );
}

function isDocument(value: unknown): value is Documented {
  return typeof value === "object" && value !== null && "paths" in value;
}
