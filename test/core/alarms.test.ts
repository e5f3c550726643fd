import { expect, it } from "vitest";
import { type CoreBroker, coreBroker, type TestClient } from "../support/core-broker.ts";

const SHORT = "1 MiB is free, 2 MiB are needed";

function alarms({ broker }: CoreBroker): CoreBroker["broker"]["engine"]["alarms"] {
  return broker.engine.alarms;
}

async function atWork(): Promise<{ core: CoreBroker; sender: TestClient; bodies: () => string[] }> {
  const core = await coreBroker();
  const { got } = core.client().subscribe("queue:q");
  const sender = core.client();
  core.settle();
  return { core, sender, bodies: () => got.bodies };
}

it("an alarm has whoever publishes wait until it is over, and consumers go on", async () => {
  const { core, sender, bodies } = await atWork();
  alarms(core).raise("disk", SHORT, 5);
  sender.send("queue:q", "1");
  core.settle();
  expect([sender.core.blocked, sender.unblocks]).toEqual([true, 0]);
  expect(sender.core.waitingOn).toBe(
    "blocked sending to: the broker, which is short of room on its disk (alarms.disk_free)",
  );
  expect(bodies()).toEqual(["1"]);
  alarms(core).clear("disk");
  core.settle();
  expect([sender.core.blocked, sender.unblocks]).toEqual([false, 1]);
});

it("who has sent nothing is not held up by an alarm", async () => {
  const { core, sender } = await atWork();
  alarms(core).raise("memory", SHORT, 5);
  core.settle();
  expect(sender.core.blocked).toBe(false);
});

it("with two alarms, publishers wait for the end of both", async () => {
  const { core, sender } = await atWork();
  alarms(core).raise("memory", SHORT, 5);
  alarms(core).raise("disk", SHORT, 6);
  sender.send("queue:q", "1");
  alarms(core).clear("memory");
  core.settle();
  expect([sender.core.blocked, sender.unblocks]).toEqual([true, 0]);
  alarms(core).raise("memory", SHORT, 7);
  alarms(core).clear("disk");
  core.settle();
  expect([sender.core.blocked, sender.unblocks, alarms(core).waiting]).toEqual([true, 0, 1]);
  alarms(core).clear("memory");
  core.settle();
  expect([sender.core.blocked, sender.unblocks]).toEqual([false, 1]);
});

it("an alarm that is raised again keeps its time and has a new reason", async () => {
  const { core } = await atWork();
  expect(alarms(core).raise("disk", SHORT, 5)).toBe(true);
  expect(alarms(core).raise("disk", "none is free", 6)).toBe(false);
  expect(alarms(core).active).toEqual([{ name: "disk", reason: "none is free", since: 5 }]);
  expect([alarms(core).clear("disk"), alarms(core).clear("disk")]).toEqual([true, false]);
});

it("what is scheduled waits for the end of an alarm", async () => {
  const { core, sender, bodies } = await atWork();
  const deliverAt = core.clock.now() + 1000;
  sender.send("queue:q", "1", { timing: { deliverAt } });
  alarms(core).raise("disk", SHORT, 5);
  core.clock.advance(5000);
  expect(bodies()).toEqual([]);
  alarms(core).clear("disk");
  core.clock.advance(5000);
  expect(bodies()).toEqual(["1"]);
});
