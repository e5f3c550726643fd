import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";
import type { TestManagement } from "../support/management.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";
/** Each of them would run if a page took it for markup. */
const NAMES = [
  "<img src=x onerror=alert(1)>",
  "<script>alert(2)</script>",
  "'\"><svg onload=alert(3)>",
  "javascript:alert(4)",
  "100%25 %2e%2e",
  "日本語 ☃ \u202Eback",
  "x".repeat(200),
];
const [IMAGE = ""] = NAMES;
const PLACES =
  "queues topics durable-subscriptions exchanges schedules retained jobs connections sessions users users?tab=groups users?tab=keys access-rules audit configuration?q=rules dead-letters".split(
    " ",
  );
const RULES = `access_rules=[{allow: [admins]}, {deny: ["${IMAGE}"]}]`;

describe.skipIf(BROWSER_MISSING !== "")(`the console and names that mean harm${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("shows them as they are wherever they are, and runs none of them", async () => {
    const { page, management, go, complaints, requests } = await open({ settings: [RULES] });
    await fill(management);
    using stomp = await StompWire.connect(management.broker.port, {
      headers: { login: IMAGE, passcode: "secret", "client-id": NAMES[2] ?? "" },
    });
    const one = encodeURIComponent(IMAGE);
    for (const address of [
      ...PLACES,
      ...["dead-letters", "exchanges", "durable-subscriptions"].map((kind) => `${kind}/${one}`),
      ...NAMES.map((name) => `queues/${encodeURIComponent(name)}`),
      ...["messages", "consumers", "policy"].map((tab) => `queues/${one}?tab=${tab}`),
      `connections/${stomp.session.get("session")}`,
    ]) {
      await go(address);
      await page.locator("main h1").waitFor();
      await page.waitForLoadState("networkidle");
      expect(await page.locator("main img, main script, main svg[onload]").count(), address).toBe(0);
      expect(complaints, address).toEqual([]);
    }
    expect(new Set(requests.map(({ url }) => url.origin))).toEqual(new Set([management.url]));
  }, 90_000);

  it("opens messages, questions and answers that are made of them", async () => {
    const { page, management, go, complaints } = await open({ settings: [RULES] });
    await fill(management);
    const one = encodeURIComponent(IMAGE);
    await go(`queues/${one}?tab=messages`);
    await page.getByRole("button", { name: "Open message 1" }).click();
    const message = page.getByRole("region", { name: "Message 1" });
    await message.getByText("<b>key</b>").waitFor();
    await message.getByRole("button", { name: "Hex" }).click();
    await message.getByRole("button", { name: "Text" }).click();
    await page.getByRole("button", { name: "Purge" }).click();
    await page.getByRole("dialog").getByText(IMAGE).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    const [turned = ""] = NAMES.filter((name) => name.includes("\u202E"));
    await go(`queues/${encodeURIComponent(turned)}`);
    await page.getByRole("button", { name: "Delete" }).click();
    // A name that is written from right to left leaves the question as it is.
    const question = await page.getByRole("dialog").locator("p").textContent();
    expect(question).toBe(`Delete \u2068${turned}\u2069 with all its messages?`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await go("retained");
    await page.getByRole("link", { name: IMAGE }).click();
    await page.getByRole("dialog").getByText(IMAGE).first().waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByLabel("Name").fill("onerror");
    await page.getByRole("dialog").getByRole("option", { name: IMAGE }).first().waitFor();
    await page.keyboard.press("Escape");
    await go("explain");
    await page.getByLabel("To", { exact: true }).fill(`/queue/${IMAGE}`);
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("heading", { name: IMAGE }).waitFor();
    await go("queues");
    await page.getByRole("searchbox").fill("<img");
    await page.getByText("1 in all").waitFor();
    expect(complaints).toEqual([]);
  });

  it("shows moments that no date can say", async () => {
    const { page, management, go, complaints } = await open();
    await management.put(`${HOST}/queues/orders`);
    await management.post(`${HOST}/queues/orders/messages`, { body: "for ever", ttl_ms: 8_640_000_000_000_000 });
    await go("queues/orders?tab=messages");
    await page.getByRole("button", { name: "Open message 1" }).click();
    await page.getByRole("region", { name: "Message 1" }).getByText("for ever").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("asks for nothing else when a name is a step in a path", async () => {
    const { page, management, go, requests } = await open();
    using stomp = await StompWire.connect(management.broker.port, { headers: { login: "admin", passcode: "secret" } });
    await stomp.request("SEND", { destination: "/queue/.." }, "x");
    await go("queues/..");
    await page.getByRole("alert").getByText('What is called ".." cannot be asked for').waitFor();
    await go("queues");
    await page.getByRole("checkbox", { name: "Pick .." }).check();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("alert").getByText("cannot be asked for").waitFor();
    expect(requests.filter(({ method }) => method === "DELETE")).toEqual([]);
  });

  it("says that there is no such page, and no such queue", async () => {
    const { page, go } = await open();
    await go("nowhere/at/all");
    await page.getByRole("heading", { name: "Nothing here" }).waitFor();
    await go("queues/nobody");
    await page.getByRole("alert").getByText("There is no queue nobody").waitFor();
    await go("queues/%");
    await expect.poll(() => page.getByRole("alert").count(), SOON).toBe(1);
  });
});

async function fill(management: TestManagement): Promise<void> {
  const one = encodeURIComponent(IMAGE);
  const properties = { "<b>key</b>": IMAGE };
  const about = { properties, content_type: IMAGE, correlation_id: IMAGE, group_id: IMAGE, subject: IMAGE };
  const message = { body: IMAGE, ...about };
  for (const name of NAMES) await management.put(`${HOST}/queues/${encodeURIComponent(name)}`);
  await management.post(`${HOST}/queues/${one}/messages`, message);
  await management.post(`${HOST}/queues/${one}/messages`, { ...message, delay_ms: 3_600_000 });
  await management.put(`${HOST}/topics/${one}`);
  await management.put(`${HOST}/durable-subscriptions/${one}`, { topics: [IMAGE], selector: "colour = '<b>'" });
  await management.put(`${HOST}/exchanges/${one}`, { type: "topic" });
  const binding = { source: IMAGE, destination: IMAGE, destination_kind: "queue", key: IMAGE };
  await management.post(`${HOST}/bindings`, binding);
  await management.put(`${HOST}/retained/${one}`, { body: IMAGE });
  await management.put(`/api/v1/users/${one}`, { password: "secret", groups: ["admins", IMAGE] });
  await management.post("/api/v1/api-keys", { name: IMAGE, groups: [IMAGE] });
}
