import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startBrokerProcess } from "../support/broker.ts";
import { Link } from "../support/crash-link.ts";
import { takeAll } from "../support/crash-reading.ts";
import { resizeDisk, smallDisk } from "../support/small-disk.ts";

/** Or publishers would be held up long before. */
const NO_ALARM = ["alarms.disk_free=0"];

it("a full disk ends the broker with one clear sentence, and with more room it has all it confirmed", async ({
  skip,
}) => {
  const disk = smallDisk("6m");
  if (disk === undefined) return skip("this user may not mount a small file system");
  const directory = join(disk, "data");
  const broker = await startBrokerProcess(directory, NO_ALARM);
  const ended = once(broker.process, "close");
  const { sent, confirmed } = await fill(broker.port);
  expect(await ended).toEqual([1, null]);
  const fatal = broker
    .output()
    .split("\n")
    .filter((line) => line.includes('"level":60'));
  expect(fatal, broker.output()).toHaveLength(1);
  expect(fatal[0]).toMatch(/disk .* is full.*store\.directory/);
  expect(confirmed.length).toBeGreaterThan(0);
  expect(confirmed.length).toBeLessThan(sent.length);

  // While there is no room it may start or not, but if not it says why; and it makes nothing worse.
  const still = await startBrokerProcess(directory, NO_ALARM).catch((error: unknown) => String(error));
  if (typeof still === "string") expect(still).toMatch(/ended with 1: [^]*is full; make room or [^]*store\.directory/);
  else await still.end("SIGTERM");

  resizeDisk(disk, "64m");
  const again = await startBrokerProcess(directory, NO_ALARM);
  const found = await takeAll(again.port, "orders");
  expect(found.slice(0, confirmed.length)).toEqual(confirmed);
  expect(found).toEqual(sent.slice(0, found.length));
  await again.end("SIGKILL");
  return undefined;
}, 60_000);

/** Sends until the connection ends. */
async function fill(port: number): Promise<{ sent: string[]; confirmed: string[] }> {
  const sent: string[] = [];
  const confirmed: string[] = [];
  const padding = "x".repeat(20_000);
  const more = (link: Link): void => {
    while (!link.over && link.unconfirmed < 20) {
      const body = `${sent.length} ${padding}`;
      sent.push(body);
      link.ask("SEND", { destination: "/queue/orders", persistent: "true" }, body, () => {
        confirmed.push(body);
        more(link);
      });
    }
  };
  const link = await Link.open(port, { frame: () => {} });
  if (link === undefined) throw new Error("the broker is gone");
  more(link);
  await link.closed;
  return { sent, confirmed };
}
