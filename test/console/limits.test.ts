import { describe, expect, it } from "vitest";
import { BROWSER_MISSING, SOON, useConsole } from "../support/console-pages.ts";
import { StompWire } from "../support/stomp-wire.ts";

describe.skipIf(BROWSER_MISSING !== "")(`limits in the console${BROWSER_MISSING}`, () => {
  const open = useConsole();

  it("show who waits now, for which of them, and how long", async () => {
    const { page, management, go, complaints } = await open({ settings: ["limits=[{per: user, messages_in: 1}]"] });
    await go("limits");
    await page.getByRole("row", { name: /^user everybody .* wait 0 0 0$/ }).waitFor(SOON);
    using client = await StompWire.connect(management.broker.port, {
      headers: { login: "admin", passcode: "secret" },
    });
    await client.wire.send("SEND\ndestination:/queue/a\n\nhello\0".repeat(100));
    await page.getByRole("heading", { name: "Waiting now" }).waitFor(SOON);
    await page.getByRole("row", { name: /^admin limits\[0\] per user 1 [\d.]+ m?s$/ }).waitFor(SOON);
    await page.getByRole("row", { name: /^user everybody .* wait 1 \d+ 0$/ }).waitFor(SOON);
    expect(complaints).toEqual([]);
  });
});
