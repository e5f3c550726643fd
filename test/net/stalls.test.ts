import { expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { StompWire } from "../support/stomp-wire.ts";

it("who spoke in time while the broker was busy is not cut off for having been late", async () => {
  const { port, log } = await startBroker(["detection.timeout=500ms"]);
  using client = await StompWire.open(port);
  // Accepted, so that its time has begun.
  using other = await StompWire.connect(port);
  const sent = client.send("CONNECT", { "accept-version": "1.2", host: "localhost" });
  for (const end = performance.now() + 800; performance.now() < end; );
  await sent;
  await client.expect("CONNECTED");
  expect(log.join("")).not.toContain("no protocol recognised");
  await other.request("DISCONNECT");
});

it("who says nothing is cut off when its time is over", async () => {
  const { port, log } = await startBroker(["detection.timeout=100ms"]);
  using client = await StompWire.open(port);
  await eventually(() => log.join("").includes("no protocol recognised"));
  await client.wire.closed();
});
