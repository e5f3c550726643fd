import { describe, expect, it } from "vitest";
import { type LoadedConfig, loadConfig } from "../../src/config/load.ts";
import { temporaryFolder } from "../support/broker.ts";
import { authority, writePair } from "../support/certificates.ts";
import { BROWSER_MISSING, SOON, signInAs, useConsole } from "../support/console-pages.ts";
import { MqttWire } from "../support/mqtt-wire.ts";

const HOST = "/api/v1/hosts/default";
const FOUR_HOURS = String(4 * 3_600_000);

describe.skipIf(BROWSER_MISSING !== "")(`what the pages of the console are for${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("queues: made, picked all at once, paused, resumed and deleted, with their names before that is done", async () => {
    const { page, management, go, complaints } = await open();
    for (const name of ["beta", "gamma"]) await management.put(`${HOST}/queues/${name}`);
    await go("queues");
    await page.getByRole("button", { name: "New queue" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("alpha");
    await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    await page.getByText("3 in all").waitFor();
    await page.getByRole("checkbox", { name: "Pick all" }).check();
    await page.getByText("3 picked of 3 in all").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await expect.poll(() => page.getByText("paused", { exact: true }).count(), SOON).toBe(3);
    await page.getByRole("checkbox", { name: "Pick alpha" }).check();
    await page.getByRole("checkbox", { name: "Pick beta" }).check();
    await page.getByRole("button", { name: "Resume" }).click();
    await expect.poll(() => page.getByText("paused", { exact: true }).count(), SOON).toBe(1);
    await page.getByRole("checkbox", { name: "Pick all" }).check();
    // Gone meanwhile: what is done already does not keep the others.
    await management.delete(`${HOST}/queues/beta`);
    await page.getByRole("button", { name: "Delete" }).click();
    const question = page.getByRole("dialog");
    expect(await question.getByRole("listitem").allTextContents()).toEqual(["alpha", "beta", "gamma"]);
    await question.getByRole("button", { name: "Delete" }).click();
    await page.getByText("0 in all").waitFor();
    expect(complaints.filter((complaint) => !complaint.includes("404"))).toEqual([]);
  });

  it("queues: says what was done and what was not when some refuse", async () => {
    const rules =
      "access_rules=[{deny: [admin], action: [admin], kind: [queue], id: kept}, {allow: [admins]}, {allow: [viewers], action: [monitor, connect]}]";
    const { page, management, go } = await open({
      settings: [rules, "security.users.viewer.password=secret", "security.users.viewer.groups=[viewers]"],
    });
    for (const name of ["one", "two"]) await management.put(`${HOST}/queues/${name}`);
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await signInAs(page, "viewer", "secret");
    await go("queues");
    await page.getByRole("checkbox", { name: "Pick all" }).check();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("alert").getByText("0 of 2 are done").waitFor();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("alert").getByText("0 of 2 are done").waitFor();
  });

  it("topics and durable subscriptions: made, published to, deleted", async () => {
    const { page, management, go, complaints } = await open();
    await go("durable-subscriptions");
    await page.getByRole("button", { name: "New durable subscription" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Id").fill("archive");
    await dialog.getByLabel("Topics").fill("news.**, weather");
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.getByRole("link", { name: "archive" }).waitFor();
    await go("topics");
    await page.getByRole("button", { name: "New topic" }).click();
    await dialog.getByLabel("Name").fill("news.sport");
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.getByRole("link", { name: "news.sport" }).click();
    await page.getByRole("button", { name: "Publish" }).click();
    await dialog.getByLabel("Body", { exact: true }).fill("goal");
    await dialog.getByLabel("Retained").check();
    await dialog.getByRole("button", { name: "Publish" }).click();
    await dialog.waitFor({ state: "detached" });
    await go("durable-subscriptions/archive?tab=messages");
    await page.getByRole("cell", { name: "goal" }).waitFor();
    await go("durable-subscriptions");
    await page.getByRole("checkbox", { name: "Pick archive" }).check();
    await page.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByText("There are no durable subscriptions").waitFor();
    await go("topics/news.sport");
    await page.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Topics" }).waitFor();
    expect((await management.get(`${HOST}/topics/news.sport`)).status).toBe(404);
    expect(complaints).toEqual([]);
  });

  it("schedules and retained messages: made, looked at, taken back", async () => {
    const { page, go, complaints } = await open();
    const dialog = page.getByRole("dialog");
    await go("schedules");
    await page.getByText("Nothing waits for its time").waitFor();
    await page.getByRole("button", { name: "Publish later" }).click();
    await dialog.getByLabel("Name").fill("orders");
    await dialog.getByLabel("Body", { exact: true }).fill("tomorrow");
    await dialog.getByLabel("Delivered after").fill(FOUR_HOURS);
    await dialog.getByRole("button", { name: "Publish" }).click();
    await page.getByRole("link", { name: "orders" }).click();
    await dialog.getByText("tomorrow").waitFor();
    await page.keyboard.press("Escape");
    const due = page.getByRole("grid").locator("time");
    expect(await due.getAttribute("title")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    await page.getByRole("checkbox", { name: "Pick orders" }).check();
    await page.getByRole("button", { name: "Cancel" }).click();
    await dialog.getByRole("button", { name: "Cancel them" }).click();
    await page.getByText("Nothing waits for its time").waitFor();
    await go("retained");
    await page.getByRole("button", { name: "Retain a message" }).click();
    await dialog.getByLabel("Topic").fill("plant.state");
    await dialog.getByLabel("Body").fill("running");
    await dialog.getByRole("button", { name: "Retain" }).click();
    await page.getByRole("link", { name: "plant.state" }).click();
    await dialog.getByText("running").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("checkbox", { name: "Pick plant.state" }).check();
    await page.getByRole("button", { name: "Clear" }).click();
    await dialog.getByRole("button", { name: "Clear" }).click();
    await page.getByText("No topic retains a message").waitFor();
    expect(complaints).toEqual([]);
  });

  it("sessions: found by way of their connection, with what they are subscribed to, and ended", async () => {
    const { page, management, go, complaints } = await open();
    using client = await MqttWire.connect(management.broker.port, {
      clientId: "plant/1",
      username: "admin",
      password: "secret",
      clean: true,
      properties: { sessionExpiryInterval: 3600 },
    });
    await client.subscribe("news/+", { qos: 1 });
    await go("connections");
    await page.getByRole("grid").getByRole("link").click();
    await page.getByText("all that its session is subscribed to").waitFor();
    await page.getByRole("link", { name: "mqtt/plant/1" }).click();
    await page.getByRole("cell", { name: "topic news.*" }).waitFor();
    await page.getByRole("button", { name: "End" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End" }).click();
    await page.getByText("There are no sessions").waitFor();
    await client.dismissed();
    expect(complaints).toEqual([]);
  });

  it("listeners, limits and alarms: stopped and started; what is raised says why", async () => {
    const { page, go, complaints } = await open({
      settings: [
        "store.kind=lmdb",
        `store.directory=${temporaryFolder()}`,
        "alarms.disk_free=1000000g",
        "limits=[{per: user, match: [admin], connections: 7}]",
      ],
    });
    const dialog = page.getByRole("dialog");
    await go("listeners");
    const row = page.getByRole("row", { name: /^stomp / });
    await row.getByRole("button", { name: "Stop" }).click();
    await dialog.getByRole("button", { name: "Stop" }).click();
    await row.getByText("stopped").waitFor();
    await row.getByRole("button", { name: "Start" }).click();
    await row.getByText("listening").waitFor();
    await page.getByRole("columnheader", { name: "Refused" }).waitFor();
    await go("limits");
    await page.getByRole("row", { name: /^user admin 7/ }).waitFor();
    const alarm = page.getByRole("row", { name: /^disk raised/ });
    await alarm.getByText("alarms.disk_free").first().waitFor();
    await page.getByText("wait", { exact: true }).first().waitFor();
    await go("overview");
    await page.getByRole("alert").getByText("All publishers wait").waitFor();
    expect(complaints).toEqual([]);
  });

  it("configuration: looked up, checked before it is taken over, read again; parts of the log made louder", async () => {
    const directory = temporaryFolder();
    const load = (text?: string): LoadedConfig => loadConfig({ file: "delos.yaml", directory, text: text ?? "" });
    const { page, management, go, complaints } = await open({ parts: { load } });
    await go("configuration");
    await page.getByRole("searchbox").fill("max_connections");
    await page.getByText("listeners.stomp.max_connections").waitFor();
    await page.getByRole("searchbox").fill("typed, and left at once");
    await page.getByRole("link", { name: "Check a file" }).click();
    await page.getByLabel("YAML").fill("stomp: { max_body: nonsense }");
    await page.getByRole("button", { name: "Check", exact: true }).click();
    await page.getByText("not valid").waitFor();
    await page.getByRole("link", { name: "Log", exact: true }).click();
    await page.getByLabel("Level of net").selectOption("trace");
    await page.getByText("The log is told").waitFor();
    expect((await management.get("/api/v1/log")).body).toMatchObject({ components: { net: "trace" } });
    expect(complaints).toEqual([]);
  });

  it("virtual hosts: chosen above each page, which then shows what is in that one", async () => {
    const { page, management, go, complaints } = await open({ settings: ["hosts.other.aliases=[]"] });
    await management.put(`${HOST}/queues/here`);
    await management.put("/api/v1/hosts/other/queues/there");
    await go("queues/here");
    await page.getByRole("heading", { name: "here", level: 1 }).waitFor();
    await page.getByLabel("Virtual host").selectOption("other");
    await page.getByRole("link", { name: "there" }).waitFor();
    expect(await page.getByRole("link", { name: "here", exact: true }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("API keys: made, told once, deleted", async () => {
    const { page, management, go } = await open();
    await go("users?tab=keys");
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("reports");
    await page.getByRole("dialog").getByLabel("Groups").fill("admins");
    await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    const told = page.getByRole("dialog", { name: "The key reports" });
    const key = (await told.locator("pre").textContent()) ?? "";
    const whoami = () =>
      management.get("/api/v1/session", { as: null, headers: { authorization: `Bearer ${key.trim()}` } });
    expect((await whoami()).body).toMatchObject({ user: "reports", by: "key" });
    await told.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("There are no keys").waitFor();
    expect((await whoami()).status).toBe(401);
  });

  it("backup: a copy comes as a file; what is in memory only says so", async () => {
    const stored = await open({ settings: ["store.kind=lmdb", `store.directory=${temporaryFolder()}`] });
    await stored.management.post(`${HOST}/queues/orders/messages`, { body: "kept" });
    await stored.go("backup");
    await stored.page.getByText("delos restore FILE").waitFor();
    const coming = stored.page.waitForEvent("download");
    await stored.page.getByRole("button", { name: "Copy and download" }).click();
    const file = await coming;
    expect(file.suggestedFilename()).toMatch(/^delos-.*\.mdb$/);
    expect(await file.failure()).toBeNull();
    await stored.page.getByText("is copied").waitFor();
    expect(stored.complaints).toEqual([]);
    const passing = await open();
    await passing.go("backup");
    await passing.page.getByRole("button", { name: "Copy and download" }).click();
    await passing.page.getByRole("alert").getByText("in memory only").waitFor();
  });

  it("try it: over TLS the page connects over TLS, to a port that has it", async () => {
    const folder = temporaryFolder();
    const names = ["DNS:localhost", "IP:127.0.0.1"];
    const files = writePair(folder, "server", authority("CA").issue({ commonName: "broker", names }));
    const { page, management, go, complaints } = await open({
      settings: [`tls.certificate=${files.certificate}`, `tls.key=${files.key}`],
      secure: true,
    });
    await go("try-it");
    for (const protocol of ["STOMP", "MQTT"]) {
      await page.getByRole("button", { name: protocol }).click();
      await expect
        .poll(() => page.getByLabel("Address").inputValue(), SOON)
        .toBe(`wss://127.0.0.1:${management.broker.port}/`);
      await page.getByLabel("Password").fill("secret");
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await page.getByText("connected", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Disconnect" }).click();
    }
    expect(complaints).toEqual([]);
    await page.getByLabel("Address").fill("wss://elsewhere.example/");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("alert").getByText("may connect to 127.0.0.1 only").waitFor();
  });
});
