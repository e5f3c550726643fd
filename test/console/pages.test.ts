import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, type PageRequest, useConsole } from "../support/console-pages.ts";
import type { TestManagement } from "../support/management.ts";

/** Pages about one thing, which the list of pages does not name. */
const ABOUT_ONE = [
  "queues/orders",
  "queues/orders?tab=messages",
  "queues/orders?tab=consumers",
  "queues/orders?tab=producers",
  "queues/orders?tab=policy",
  "topics/news.sport",
  "topics/news.sport?tab=subscribers",
  "topics/news.sport?tab=producers",
  "durable-subscriptions/archive",
  "exchanges/amq.topic",
  "exchanges/amq.topic?tab=producers",
  "dead-letters?tab=origins",
  "dead-letters/dead",
  "users?tab=groups",
  "users?tab=keys",
  "configuration?tab=check",
  "configuration?tab=log",
];

/** What there is to find fault with on a page: things beyond its edge, unnamed, told apart by nothing, or too pale to read. */
const FAULTS = `(() => {
  const faults = [];
  const main = document.querySelector("main");
  for (const element of [document.documentElement, main])
    if (element.scrollWidth > element.clientWidth) faults.push(element.tagName + " is wider than the screen");
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [red, green, blue] = numbers(colour).map((part) => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0.99) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const shown = element.checkVisibility({ visibilityProperty: true });
    if (!shown || texts.currentNode.data.trim() === "" || element.closest(":disabled, noscript") !== null) continue;
    const two = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    const contrast = (two[0] + 0.05) / (two[1] + 0.05);
    if (contrast < 4.5) faults.push("pale, " + contrast.toFixed(2) + ": " + texts.currentNode.data.trim().slice(0, 40));
  }
  for (const control of document.querySelectorAll("button, a[href], input, select, textarea")) {
    const labels = Array.from(control.labels ?? [], (label) => label.textContent).join("");
    const name = (control.getAttribute("aria-label") ?? "") + control.textContent + labels;
    if (name.trim() === "" && !control.hasAttribute("aria-labelledby")) faults.push("unnamed: " + control.outerHTML);
  }
  for (const table of document.querySelectorAll("table")) {
    const heads = Array.from(table.tHead?.querySelectorAll("th") ?? []);
    const said = (head) => head.textContent.trim() || head.ariaLabel || head.querySelector("input");
    if (heads.length === 0 || !heads.every(said)) faults.push("a table without heads: " + table.textContent.slice(0, 40));
  }
  const ids = Array.from(document.querySelectorAll("[id]"), ({ id }) => id);
  for (const id of ids.filter((one, at) => ids.indexOf(one) !== at)) faults.push("twice: #" + id);
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one heading of the page");
  return faults;
})()`;

interface Documented {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

describe.skipIf(BROWSER_MISSING !== "")(`the pages of the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it.each([
    { colours: "light", width: 1440, height: 900 },
    { colours: "dark", width: 1024, height: 768 },
    { colours: "dark", width: 390, height: 844 },
  ] as const)(
    "all load, fit and can be read: $colours, $width pixels wide",
    async (screen) => {
      const { page, management, complaints, requests, go } = await open(screen);
      await fill(management);
      const links = page.locator("#pages li a");
      const addresses = await links.evaluateAll((all) => all.map((one) => one.getAttribute("href") ?? ""));
      expect(addresses.length).toBeGreaterThan(15);
      for (const address of [...addresses.map((href) => href.replace("#/", "")), ...ABOUT_ONE]) {
        await go(address);
        await page.locator("main h1").waitFor();
        await page.waitForLoadState("networkidle");
        expect(await page.getByRole("alert").allTextContents(), address).toEqual([]);
        expect(complaints, address).toEqual([]);
        expect(await page.evaluate(FAULTS), address).toEqual([]);
      }
      expect(new Set(requests.map(({ url }) => url.origin))).toEqual(new Set([management.url]));
      const { body } = await management.get("/api/v1/openapi.json");
      expect(unknownRequests(requests, body)).toEqual([]);
    },
    90_000,
  );

  it("have their list behind a button on a telephone, which opens and closes by keyboard too", async () => {
    const { page } = await open({ width: 390 });
    const queues = page.getByRole("link", { name: "Queues", exact: true }).first();
    expect(await queues.isVisible()).toBe(false);
    await page.getByRole("button", { name: "Pages" }).click();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Topics" }).click();
    await page.getByRole("heading", { name: "Topics" }).waitFor();
    await expect.poll(() => queues.isVisible(), SOON).toBe(false);
    expect(await page.locator("#content").evaluate((content) => content.matches(":focus"))).toBe(true);
    const button = page.getByRole("button", { name: "Pages" });
    await button.focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator(".side a:focus").count(), SOON).toBe(1);
    await page.keyboard.press("Escape");
    expect(await button.evaluate((control) => control.matches(":focus"))).toBe(true);
    await expect.poll(() => queues.isVisible(), SOON).toBe(false);
  });
});

async function fill(management: TestManagement): Promise<void> {
  const host = "/api/v1/hosts/default";
  await management.put(`${host}/queues/orders`);
  await management.put(`${host}/queues/dead`);
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
