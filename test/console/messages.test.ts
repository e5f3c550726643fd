import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";
import type { TestManagement } from "../support/management.ts";

const HOST = "/api/v1/hosts/default";

describe.skipIf(BROWSER_MISSING !== "")(`messages in the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("are shown as text, as JSON and as bytes, with their properties", async () => {
    const { page, management, go } = await open();
    await management.put(`${HOST}/queues/orders`);
    await send(management, { body: { order: 17 }, body_encoding: "json", properties: { colour: "blue" } });
    await send(management, { body: Buffer.from([0, 255, 65]).toString("base64"), body_encoding: "base64" });
    await go("queues/orders?tab=messages");
    await page.getByRole("button", { name: "Open message 1" }).click();
    const message = page.getByRole("region", { name: "Message 1" });
    await message.getByText('"order": 17').waitFor();
    await message.getByText("colour").waitFor();
    await message.getByRole("button", { name: "Text" }).click();
    await message.getByText('{"order":17}').waitFor();
    await page.getByRole("button", { name: "Open message 2" }).click();
    await page.getByRole("region", { name: "Message 2" }).getByText("00 ff 41").waitFor();
  });

  it("can be picked and moved, deleted, and chosen by a selector", async () => {
    const { page, management, go, complaints } = await open();
    await management.put(`${HOST}/queues/orders`);
    for (const size of [1, 2, 3]) await send(management, { body: `message ${size}`, properties: { size } });
    await go("queues/orders?tab=messages");
    await page.getByLabel("Pick message 2").check();
    await page.getByRole("button", { name: "Move or copy" }).last().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("elsewhere");
    await dialog.getByRole("button", { name: "Start" }).click();
    await expect.poll(() => bodies(management, "elsewhere"), SOON).toEqual(["message 2"]);
    await page.getByText("move: 1 message").waitFor();

    await page.getByLabel("Selector").fill("size = 3");
    await page.getByLabel("Selector").press("Enter");
    await page.getByText("message 1").waitFor({ state: "detached" });
    await page.getByLabel("Pick message 3").check();
    await page.getByRole("button", { name: "Delete" }).last().click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect.poll(() => bodies(management, "orders"), SOON).toEqual(["message 1"]);
    expect(complaints).toEqual([]);
  });

  it("come in pages", async () => {
    const { page, management, go } = await open();
    await management.put(`${HOST}/queues/orders`);
    for (let number = 1; number <= 60; number++) await send(management, { body: `message ${number}` });
    await go("queues/orders?tab=messages");
    await page.getByText("message 50", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Further" }).click();
    await page.getByText("message 60", { exact: true }).waitFor();
    expect(await page.getByText("message 50", { exact: true }).count()).toBe(0);
    expect(await page.getByRole("button", { name: "Further" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Back" }).click();
    await page.getByText("message 1", { exact: true }).waitFor();
  });

  it("can be published with properties; what is no JSON is told before it is sent", async () => {
    const { page, management, go } = await open();
    await management.put(`${HOST}/queues/orders`);
    await go("queues/orders");
    await page.getByRole("button", { name: "Publish" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Body", { exact: true }).fill("from the console");
    await dialog.getByLabel("Properties").fill("{ size: 1 }");
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.getByRole("alert").getByText("no JSON").waitFor();
    await dialog.getByLabel("Properties").fill('{ "size": 1 }');
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.waitFor({ state: "detached" });
    expect(await bodies(management, "orders")).toEqual(["from the console"]);
  });
});

function send(management: TestManagement, message: object): Promise<unknown> {
  return management.post(`${HOST}/queues/orders/messages`, message);
}

async function bodies(management: TestManagement, queue: string): Promise<unknown[]> {
  const { body } = await management.get(`${HOST}/queues/${queue}/messages`);
  if (typeof body !== "object" || body === null || !("messages" in body) || !Array.isArray(body.messages)) return [];
  return body.messages.map((message: unknown) =>
    typeof message === "object" && message !== null && "body" in message ? message.body : undefined,
  );
}
