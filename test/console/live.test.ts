import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";
const MANY = 10_000;

describe.skipIf(BROWSER_MISSING !== "")(`the console while things happen${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("moves its charts on by itself", async () => {
    const { page, management } = await open();
    const chart = page.getByRole("figure", { name: "Messages a second" });
    const points = async (): Promise<number> => Number(await chart.getAttribute("data-points"));
    await expect.poll(points, SOON).toBeGreaterThan(0);
    const before = await points();
    await management.put(`${HOST}/queues/orders`);
    await expect.poll(points, SOON).toBeGreaterThan(before);
    await expect.poll(() => page.locator("a.tile", { hasText: "Queues" }).textContent(), SOON).toMatch(/Queues1/);
    expect(await chart.locator("canvas").count()).toBe(1);
  });

  it("shows ten thousand queues with the rows of one screen, and finds one of them", async () => {
    const { page, management, requests, go } = await open();
    // One message makes each.
    using stomp = await StompWire.connect(management.broker.port, { headers: { login: "admin", passcode: "secret" } });
    const frames = Array.from({ length: MANY }, (_, number) =>
      stomp.encode("SEND", { destination: `/queue/bulk.${String(number).padStart(5, "0")}` }, "x"),
    );
    await stomp.wire.send(Buffer.concat(frames));
    await stomp.request("SEND", { destination: "/queue/bulk.00000" }, "x");
    await go("queues");
    await page.getByText("10,000 in all").waitFor();
    const grid = page.getByRole("grid", { name: "Queues" });
    await page.getByRole("link", { name: "bulk.00000" }).waitFor();
    expect(await grid.getByRole("row").count()).toBeLessThan(100);
    await grid.focus();
    await page.keyboard.press("End");
    await page.getByRole("link", { name: "bulk.09999" }).waitFor();
    expect(await grid.getByRole("row").count()).toBeLessThan(100);
    await page.keyboard.press("/");
    await page.keyboard.type("bulk.0012");
    await page.getByText("10 in all").waitFor();
    await page.getByRole("link", { name: "bulk.00129" }).waitFor();
    const lists = requests.filter(({ url }) => url.pathname === `${HOST}/queues`);
    expect(Math.max(...lists.map(({ url }) => Number(url.searchParams.get("ps"))))).toBeLessThanOrEqual(100);
  }, 60_000);

  it("tries the broker out by STOMP and by MQTT over WebSocket", async () => {
    const { page, management, go } = await open();
    await go("try-it");
    for (const [protocol, destination] of [
      ["STOMP", "/topic/demo.hello"],
      ["MQTT", "demo/hello"],
    ] as const) {
      await page.getByRole("button", { name: protocol }).click();
      await page.getByLabel("Address").fill(`ws://127.0.0.1:${management.broker.port}/`);
      await page.getByLabel("Password").fill("secret");
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await page.getByText("connected", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Subscribe" }).click();
      await page.getByLabel("Publish to").fill(destination);
      await page.getByLabel("Body").fill(`Hello by ${protocol}`);
      const heard = page.locator("tr", { hasText: "message" }).getByText(`Hello by ${protocol}`);
      await page
        .getByText(/^SUBSCRIBE/)
        .first()
        .waitFor();
      await page.getByRole("button", { name: "Publish" }).click();
      await heard.waitFor();
      await page.getByRole("button", { name: "Disconnect" }).click();
    }
  });

  it("says why a connection is refused", async () => {
    const { page, management, go } = await open();
    await go("try-it");
    await page.getByRole("button", { name: "MQTT" }).click();
    await page.getByLabel("Address").fill(`ws://127.0.0.1:${management.broker.port}/`);
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page
      .getByText(/^Refused: /)
      .first()
      .waitFor();
  });
});
