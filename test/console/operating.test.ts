import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, signInAs, useConsole } from "../support/console-pages.ts";
import { StompWire } from "../support/stomp-wire.ts";

const HOST = "/api/v1/hosts/default";
const RULES = "access_rules=[{allow: [admins]}, {allow: [clerks], action: [send], kind: [queue], id: orders}]";

describe.skipIf(BROWSER_MISSING !== "")(`operating the broker from the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("makes a user who can sign in, and is asked what that one might do", async () => {
    const { page, go } = await open({ settings: [RULES] });
    await go("users");
    await page.getByRole("button", { name: "New user" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("grace");
    await dialog.getByLabel("Password").fill("hopper");
    await dialog.getByLabel("Groups").fill("clerks");
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.getByRole("link", { name: "grace" }).waitFor();

    await go("access-rules");
    await page.getByLabel("User", { exact: true }).fill("grace");
    await page.getByLabel("Name").fill("orders");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText("allowed", { exact: true }).waitFor();
    await page.getByLabel("Name").fill("payments");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText("refused", { exact: true }).waitFor();

    await page.getByRole("button", { name: "Sign out" }).click();
    await signInAs(page, "grace", "hopper");
    await go("queues");
    await page
      .getByRole("alert")
      .getByText(/lacks the right "monitor"|may not monitor/)
      .waitFor();
  });

  it("explains what would become of a message", async () => {
    const { page, management, go, complaints } = await open({ settings: [RULES] });
    await management.put(`${HOST}/queues/orders`);
    await go("explain");
    await page.getByLabel("To", { exact: true }).fill("/queue/orders");
    await page.getByLabel("By the user").fill("admin");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("heading", { name: "queue orders" }).waitFor();
    await page.getByText("accepted", { exact: true }).waitFor();
    await page.getByLabel("By the user").fill("");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("refused", { exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  it("binds a queue to an exchange and takes that back", async () => {
    const { page, management, go, complaints } = await open();
    await management.put(`${HOST}/queues/orders`);
    await go("exchanges");
    await page.getByRole("button", { name: "New exchange" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("events");
    await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    await page.getByRole("link", { name: "events" }).click();
    await page.getByRole("button", { name: "Bind" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("orders");
    await page.getByRole("dialog").getByLabel("Routing key").fill("new");
    await page.getByRole("dialog").getByRole("button", { name: "Bind" }).click();
    await page.getByRole("gridcell", { name: "orders" }).waitFor();
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByRole("dialog").getByLabel("Routing key").fill("new");
    await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect((await management.get(`${HOST}/queues/orders`)).body).toMatchObject({ messages: 1 });
    await page.getByRole("checkbox", { name: "Pick new" }).check();
    await page.getByRole("button", { name: "Unbind" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Unbind" }).click();
    await page.getByText("Nothing is bound to it").waitFor();
    expect(complaints).toEqual([]);
  });

  it("redrives dead letters to the queue they come from", async () => {
    const { page, management, go } = await open({
      settings: ["queues=[{dead_letter_queue: dead, max_deliveries: 1}]"],
    });
    await management.put(`${HOST}/queues/orders`);
    await management.post(`${HOST}/queues/orders/messages`, { body: "poison" });
    const taken = await management.post(`${HOST}/queues/orders/consume`, { ack: "lease" });
    await management.post(`${HOST}/leases/${leaseOf(taken.body)}`, { outcome: "rejected" });
    await go("dead-letters");
    await page.getByRole("link", { name: "dead", exact: true }).click();
    await page.getByRole("cell", { name: "rejected" }).waitFor();
    await page.getByRole("cell", { name: "orders" }).waitFor();
    await page.getByRole("button", { name: "Redrive all" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Redrive" }).click();
    await page.getByText("redrive: 1 message").waitFor();
    await page.getByText("There are no messages").waitFor();
    expect((await management.get(`${HOST}/queues/orders`)).body).toMatchObject({ messages: 1 });
    await go("jobs");
    await page.getByRole("gridcell", { name: "finished" }).waitFor();
  });

  it("closes a connection, with the reason, and shows it in the audit log", async () => {
    const { page, management, go } = await open();
    using stomp = await StompWire.connect(management.broker.port, { headers: { login: "admin", passcode: "secret" } });
    await go("connections");
    await page.getByRole("link", { name: stomp.session.get("session") ?? "" }).click();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("dialog").getByLabel("Reason").fill("too loud");
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
    const error = await stomp.expect("ERROR");
    expect(error.headers.get("message")).toContain("too loud");
    await page.getByText("Nobody is connected").waitFor();
    await go("audit");
    await page.getByRole("gridcell", { name: "connection.close" }).waitFor();
  });
});

function leaseOf(reply: unknown): string {
  return typeof reply === "object" && reply !== null && "lease" in reply ? String(reply.lease) : "";
}
