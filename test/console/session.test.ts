import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, signInAs, useConsole } from "../support/console-pages.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { startManagement } from "../support/management.ts";

const MINUTE = 60_000;
const IDLE = "management.sessions.idle=30m";

describe.skipIf(BROWSER_MISSING !== "")(`the session of somebody at the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("ends when nobody does anything, though the page goes on asking; what was typed is there for the same user", async () => {
    const clock = new LeapingClock();
    const { page, management, go, requests } = await open({ settings: [IDLE], parts: { clock } });
    await management.put("/api/v1/hosts/default/queues/orders");
    await go("queues/orders");
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByRole("dialog").getByLabel("Body", { exact: true }).fill("half a sentence");
    // What the person did counts once; then the page asks for itself.
    const alone = (): boolean => requests.at(-1)?.headers["x-background"] === "true";
    await expect.poll(alone, SOON).toBe(true);
    clock.leap(31 * MINUTE);
    const again = page.getByRole("dialog", { name: "Sign in to Delos" });
    await again.getByText("Your session is over").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    expect(await again.isVisible()).toBe(true);
    expect(await page.getByRole("heading", { name: "orders" }).isVisible()).toBe(false);
    expect(await page.getByText("half a sentence").isVisible()).toBe(false);
    expect(await again.getByLabel("User").inputValue()).toBe("admin");
    await again.getByLabel("Password").fill("wrong");
    await again.getByRole("button", { name: "Sign in" }).click();
    await again.getByRole("alert").waitFor();
    await again.getByLabel("Password").fill("secret");
    await again.getByRole("button", { name: "Sign in" }).click();
    await again.waitFor({ state: "detached" });
    const dialog = page.getByRole("dialog", { name: "Publish to queue orders" });
    expect(await dialog.getByLabel("Body", { exact: true }).inputValue()).toBe("half a sentence");
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.waitFor({ state: "detached" });
    expect((await management.get("/api/v1/hosts/default/queues/orders")).body).toMatchObject({ messages: 1 });
  });

  it("goes on while somebody does something, if only within the page", async () => {
    const clock = new LeapingClock();
    const { page, go, requests } = await open({ settings: [IDLE], parts: { clock } });
    await go("queues");
    const alone = (): boolean => requests.at(-1)?.headers["x-background"] === "true";
    for (let times = 0; times < 2; times++) {
      await expect.poll(alone, SOON).toBe(true);
      clock.leap(20 * MINUTE);
      const asked = requests.length;
      await page.keyboard.press("Shift");
      const noticed = (): boolean => requests.slice(asked).some(({ headers }) => headers["x-background"] === undefined);
      await expect.poll(noticed, SOON).toBe(true);
    }
    expect(await page.getByRole("heading", { name: "Queues" }).isVisible()).toBe(true);
  });

  it("leaves nothing for another user who signs in at the same page", async () => {
    const { page, management, go } = await open({
      settings: ["security.users.other.password=secret", "access_rules=[{allow: [admins]}]"],
    });
    await management.put("/api/v1/hosts/default/queues/orders");
    await expect.poll(() => page.locator("a.tile", { hasText: "Queues" }).textContent(), SOON).toBe("Queues1");
    await go("queues/orders");
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByRole("dialog").getByLabel("Body", { exact: true }).fill("not yours");
    await page.context().clearCookies();
    const again = page.getByRole("dialog", { name: "Sign in to Delos" });
    await again.getByLabel("User").fill("other");
    await again.getByLabel("Password").fill("secret");
    await again.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Signed in as other" }).waitFor();
    expect(await page.getByRole("dialog").count()).toBe(0);
    expect(await page.getByText("not yours").count()).toBe(0);
    await go("overview");
    await page.getByRole("alert").getByText('lacks the right "monitor"').waitFor();
    expect(await page.locator("a.tile", { hasText: "Queues" }).textContent()).toBe("Queues0");
  });

  it("goes on for a page after somebody signed in anew beside it: as the same user it may change things, as another not", async () => {
    const { page, management, go } = await open({ settings: ["security.users.other.password=secret"] });
    const signInBeside = (user: string): Promise<unknown> =>
      page.evaluate(
        ([name]) =>
          fetch("/api/v1/session", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ user: name, password: "secret" }),
          }).then(({ status }) => status),
        [user],
      );
    const declare = async (name: string): Promise<void> => {
      await go("queues");
      await page.getByRole("button", { name: "New queue" }).click();
      await page.getByRole("dialog").getByLabel("Name").fill(name);
      await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    };
    await signInBeside("admin");
    await declare("alpha");
    await page.getByRole("link", { name: "alpha" }).waitFor();
    await signInBeside("other");
    await declare("beta");
    await page.getByRole("dialog", { name: "Sign in to Delos" }).waitFor();
    expect((await management.get("/api/v1/hosts/default/queues/beta")).status).toBe(404);
  });

  it("ends in all browsers when somebody signs out everywhere", async () => {
    const { page, management } = await open();
    const elsewhere = await page.context().browser()?.newPage();
    if (elsewhere === undefined) throw new Error("There is no browser");
    await elsewhere.goto(management.url);
    await signInAs(elsewhere, "admin", "secret");
    await page.getByRole("button", { name: "Signed in as admin" }).click();
    await page.getByRole("button", { name: "Sign out everywhere" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Sign out everywhere" }).click();
    await page.getByRole("main").getByRole("heading", { name: "Sign in to Delos" }).waitFor();
    await elsewhere.getByRole("dialog", { name: "Sign in to Delos" }).waitFor();
    await elsewhere.close();
  });

  it("is had again after the broker has started anew, and the charts go on", async () => {
    const { page, management } = await open();
    const port = management.broker.managementPort;
    await management.broker.stop();
    await page.getByText("No answer from the broker").waitFor();
    await startManagement([`management.port=${port}`]);
    const again = page.getByRole("dialog", { name: "Sign in to Delos" });
    await again.getByLabel("Password").fill("secret");
    await again.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    const chart = page.getByRole("figure", { name: "Messages a second" });
    const points = async (): Promise<number> => Number(await chart.getAttribute("data-points"));
    const before = await points();
    await expect.poll(points, SOON).toBeGreaterThan(before);
  });
});
