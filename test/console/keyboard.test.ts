import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";

const HOST = "/api/v1/hosts/default";

/** What somebody hears of what has the focus. */
const NAME_OF_FOCUSED = `(() => {
  const element = document.activeElement;
  const label = element.getAttribute("aria-label") ?? element.textContent.trim();
  return element.matches(".rows") ? label + " grid" : element.matches("main") ? label + " main" : label;
})()`;

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

  it("reaches everything by Tab, in the order in which it is seen, and can go past the list of pages", async () => {
    const { page, management, go } = await open();
    await management.put(`${HOST}/queues/alpha`);
    await go("queues");
    await page.getByRole("link", { name: "alpha" }).waitFor();
    await page.getByRole("link", { name: "To the content" }).focus();
    const reached = ["To the content"];
    for (let times = 0; times < 60; times++) {
      await page.keyboard.press("Tab");
      const name = await page.evaluate(NAME_OF_FOCUSED);
      if (typeof name !== "string" || name === "" || reached.includes(name)) break;
      reached.push(name);
    }
    const pages = await page.locator("#pages li a").allTextContents();
    expect(reached.filter((name) => pages.includes(name))).toEqual(pages);
    const order = ["To the content", "Overview", "Try it", "Sign out", "New queue", "Filter: Queues", "Queues grid"];
    const places = order.map((name) => reached.indexOf(name));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    await page.getByRole("link", { name: "To the content" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await page.evaluate(NAME_OF_FOCUSED)).toBe("New queue");
  });

  it("gives the focus back to what a dialog was opened with, or to the page if that is gone", async () => {
    const { page, management, go } = await open();
    for (const name of ["alpha", "beta"]) await management.put(`${HOST}/queues/${name}`);
    await go("queues");
    await page.getByRole("link", { name: "beta" }).waitFor();
    await page.getByRole("grid").focus();
    await page.keyboard.press("Space");
    await page.getByRole("button", { name: "Delete" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    // What destroys nothing comes first.
    expect(await page.evaluate(NAME_OF_FOCUSED)).toBe("Cancel");
    await page.keyboard.press("Escape");
    expect(await page.evaluate(NAME_OF_FOCUSED)).toBe("Delete");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("1 in all").waitFor();
    await expect.poll(() => page.evaluate(NAME_OF_FOCUSED), SOON).toBe("Queues main");
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
