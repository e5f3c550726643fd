import { describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";

/** Has a page live through an hour in a minute: what it does again and again it does sixty times as often. */
const FAST = `
  const every = window.setInterval;
  window.setInterval = (task, ms) => every(task, ms / 60);
  window.told = 0;
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 1;
    constructor() {
      super();
      let time = Date.now();
      const tell = () => {
        time += 1000;
        const rates = { received: Math.random() * 1000, sent: 1, dropped: 0, bytes_received: 1, bytes_written: 1 };
        const figures = { stored: ++window.told, inflight: 0, clients: 1, subscriptions: 1, queues: 1, topics: 1 };
        this.dispatchEvent(new MessageEvent("figures", { data: JSON.stringify({ time, figures, rates, hosts: {} }) }));
      };
      this.timer = every(() => {
        for (let times = 0; times < 10; times++) tell();
      }, 5);
    }
    close() {
      clearInterval(this.timer);
    }
  };
`;

interface Load {
  readonly bytes: number;
  readonly nodes: number;
  readonly listeners: number;
}

describe.skipIf(BROWSER_MISSING !== "")(`the console after a long time${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("holds no more than after a short time, whatever it was told", async () => {
    const { page, management, go, complaints } = await open();
    for (let number = 0; number < 60; number++) await management.put(`/api/v1/hosts/default/queues/q${number}`);
    await page.addInitScript(FAST);
    await page.reload();
    const told = (): Promise<number> => page.evaluate("window.told");
    for (const address of ["overview", "queues", "queues/q1", "overview"]) {
      await go(address);
      const from = await told();
      // As many figures as a chart keeps, and then many more.
      await expect.poll(told, SOON).toBeGreaterThan(from + 400);
      const before = await loadOf(page);
      await expect.poll(told, SOON).toBeGreaterThan(from + 2000);
      const after = await loadOf(page);
      expect(after.nodes, address).toBeLessThan(before.nodes * 1.2 + 100);
      expect(after.listeners, address).toBeLessThan(before.listeners * 1.2 + 20);
      expect(after.bytes, address).toBeLessThan(before.bytes * 1.2 + 500_000);
    }
    expect(complaints).toEqual([]);
  }, 90_000);

  it("gives back what pages held that were left", async () => {
    const { page, management, go } = await open();
    await management.put("/api/v1/hosts/default/queues/orders");
    const addresses = ["overview", "queues", "queues/orders", "topics", "connections", "limits", "configuration"];
    const walk = async (): Promise<Load> => {
      for (const address of addresses) {
        await go(address);
        await page.locator("main h1").waitFor();
      }
      await go("jobs");
      await page.getByText("Nothing was done").waitFor();
      return loadOf(page);
    };
    await walk();
    const before = await walk();
    for (let times = 0; times < 7; times++) await walk();
    const after = await walk();
    // The page that was left last may still be there; seven times all of them would be thousands.
    expect(after.nodes).toBeLessThan(before.nodes + 500);
    expect(after.listeners).toBeLessThan(before.listeners + 50);
  }, 60_000);
});

async function loadOf(page: Page): Promise<Load> {
  const tools = await page.context().newCDPSession(page);
  await tools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await tools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners } = await tools.send("Memory.getDOMCounters");
  await tools.detach();
  return { bytes: usedSize, nodes, listeners: jsEventListeners };
}
