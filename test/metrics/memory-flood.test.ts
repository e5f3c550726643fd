import { expect, it } from "vitest";
import { startBrokerProcess, temporaryFolder } from "../support/broker.ts";
import { Link } from "../support/crash-link.ts";
import { eventually } from "../support/eventually.ts";

const BODY = "x".repeat(50_000);

async function open(port: number, frame: () => void): Promise<Link> {
  const link = await Link.open(port, { frame });
  if (link === undefined) throw new Error("the broker is gone");
  return link;
}

it("a broker that a flood has used up the memory of takes more once that is given back, and loses nothing", async () => {
  const settings = ["alarms.memory=140m", "alarms.interval=100ms", "memory.messages=32m"];
  const broker = await startBrokerProcess(temporaryFolder(), settings);
  const isRaised = (): boolean => broker.output().includes("publishers have to wait");
  let sent = 0;
  let confirmed = 0;
  const flood = (link: Link): void => {
    while (!isRaised() && link.unconfirmed < 50) {
      sent++;
      link.ask("SEND", { destination: "/queue/flood", persistent: String(sent % 2 === 0) }, BODY, () => {
        confirmed++;
        flood(link);
      });
    }
  };
  for (let n = 0; n < 4; n++) flood(await open(broker.port, () => {}));
  await eventually(isRaised, 30_000);
  // Also while nobody consumes.
  await eventually(() => broker.output().includes("the memory alarm is over"), 30_000);
  await eventually(() => confirmed === sent, 30_000);
  let got = 0;
  const consumer = await open(broker.port, () => got++);
  consumer.send("SUBSCRIBE", { id: "1", destination: "/queue/flood", ack: "auto" });
  await eventually(() => got === sent, 30_000);
  expect(confirmed).toBe(sent);
}, 90_000);
