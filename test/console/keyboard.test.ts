import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";

const HOST = "/api/v1/hosts/default";

describe.skipIf(BROWSER_MISSING !== "")(`the console by keyboard alone${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("signs in, finds a queue, opens it, reads a message and publishes one", async () => {
    const { page, management, complaints } = await open({ signIn: false });
    for (const name of ["alpha", "beta", "gamma"]) await management.put(`${HOST}/queues/${name}`);
    await management.post(`${HOST}/queues/beta/messages`, { body: "read me" });
    const { keyboard } = page;
    await page.getByLabel("User").focus();
    await keyboard.type("admin");
    await keyboard.press("Tab");
    await keyboard.type("secret");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();

    await keyboard.press("Control+k");
    await page.getByRole("dialog").waitFor();
    await keyboard.type("queues");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "Queues" }).waitFor();
    await page.getByRole("link", { name: "beta" }).waitFor();

    await page.getByRole("grid", { name: "Queues" }).focus();
    await keyboard.press("ArrowDown");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "beta" }).waitFor();

    await page.getByRole("link", { name: "Messages", exact: true }).focus();
    await keyboard.press("Enter");
    await page.getByRole("button", { name: "Open message 1" }).focus();
    await keyboard.press("Enter");
    await page.getByRole("region", { name: "Message 1" }).getByText("read me").waitFor();

    const publish = page.getByRole("button", { name: "Publish" });
    await publish.focus();
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await keyboard.type("typed");
    await keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await publish.evaluate((button) => button.matches(":focus"))).toBe(true);
    expect(complaints).toEqual([]);
  });

  it("picks rows and sorts columns", async () => {
    const { page, management, go } = await open();
    for (const name of ["alpha", "beta"]) await management.put(`${HOST}/queues/${name}`);
    await management.post(`${HOST}/queues/beta/messages`, { body: "one" });
    await go("queues");
    await page.getByRole("link", { name: "alpha" }).waitFor();
    await page.getByRole("button", { name: "Messages", exact: true }).focus();
    await page.keyboard.press("Enter");
    await expect
      .poll(() => page.getByRole("grid").getByRole("link").allTextContents(), SOON)
      .toEqual(["beta", "alpha"]);
    await page.getByRole("grid").focus();
    await page.keyboard.press("Space");
    await page.getByText("1 picked of").waitFor();
    await page.getByRole("button", { name: "Pause" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("paused", { exact: true }).waitFor();
  });
});
