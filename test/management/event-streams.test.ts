import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, it, vi } from "vitest";
import { BrokerError } from "../../core/errors.ts";
import type { Broker } from "../../core/broker.ts";
import { EventStreams } from "../../src/management/event-streams.ts";
import { HostLooks } from "../../src/metrics/host-looks.ts";
import { coreBroker } from "../support/core-broker.ts";
import { startManagement } from "../support/management.ts";

/** A reader that takes nothing, and what waits for it. */
class Reader extends ServerResponse {
  written = "";
  waiting = 0;

  constructor() {
    super(new IncomingMessage(new Socket()));
    Object.defineProperty(this, "writableLength", { get: () => this.waiting });
  }

  override write(text: string): boolean {
    this.written += text;
    return true;
  }
}

/** Whoever watches may go on. */
const STAYS = (): Promise<void> => Promise.resolve();

function streamsOf(broker: Broker): EventStreams {
  return new EventStreams(broker, new HostLooks(broker.clock));
}

/** Figures are gathered while others have their turn. */
function gathered(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it("tells rates of the second before, once a second, and measures nothing when nobody watches", async () => {
  const core = await coreBroker();
  const { broker, clock } = core;
  const streams = streamsOf(broker);
  const reader = new Reader();
  streams.open(reader, undefined, STAYS);
  await gathered();
  const sender = core.client();
  for (let n = 0; n < 30; n++) sender.send("topic:a", "x");
  clock.advance(1000);
  await gathered();
  expect(reader.written.match(/^event: figures$/gm)).toHaveLength(2);
  expect(reader.written).toContain('"rates":{"received":30,');
  clock.advance(1000);
  await gathered();
  expect(reader.written.match(/"rates":\{"received":0,/g)?.length).toBeGreaterThanOrEqual(2);
  const { totals } = broker.host(undefined) ?? {};
  if (totals === undefined) throw new Error("There is no virtual host");
  const measured = vi.spyOn(totals, "look");
  clock.advance(1000);
  await gathered();
  const times = measured.mock.calls.length;
  expect(times).toBeGreaterThan(0);
  reader.emit("close");
  clock.advance(5000);
  await gathered();
  expect(measured).toHaveBeenCalledTimes(times);
});

it("tells of one virtual host only to those who watch that", async () => {
  const { broker } = await coreBroker();
  const reader = new Reader();
  streamsOf(broker).open(reader, "default", STAYS);
  await gathered();
  expect(JSON.parse(/^data: (.*)$/m.exec(reader.written)?.[1] ?? "")).toEqual({
    time: expect.any(Number),
    hosts: { default: { figures: expect.any(Object), rates: expect.any(Object) } },
  });
});

it("cuts off who is too slow, and ends every stream after some minutes", async () => {
  const { broker, clock } = await coreBroker();
  const streams = streamsOf(broker);
  const [slow, old] = [new Reader(), new Reader()];
  for (const reader of [slow, old]) streams.open(reader, undefined, STAYS);
  await gathered();
  slow.waiting = 1 << 20;
  clock.advance(1000);
  await gathered();
  expect([slow.destroyed, old.destroyed]).toEqual([true, false]);
  clock.advance(5 * 60_000);
  await gathered();
  expect(old.writableEnded).toBe(true);
});

it("refuses more than a hundred readers", async () => {
  const { broker } = await coreBroker();
  const streams = streamsOf(broker);
  for (let n = 0; n < 100; n++) {
    streams.check();
    streams.open(new Reader(), undefined, STAYS);
  }
  expect(() => streams.check()).toThrow(BrokerError);
  streams.close();
});

it("ends the stream of who may not watch any more", async () => {
  const { broker, clock } = await coreBroker();
  const streams = streamsOf(broker);
  const [out, still] = [new Reader(), new Reader()];
  let may = true;
  streams.open(out, undefined, () =>
    may ? Promise.resolve() : Promise.reject(new BrokerError("not-authorized", "no")),
  );
  streams.open(still, undefined, STAYS);
  const pass = async (): Promise<void> => {
    for (let second = 0; second < 6; second++) {
      clock.advance(1000);
      await gathered();
    }
  };
  await pass();
  expect(out.writableEnded).toBe(false);
  may = false;
  await pass();
  expect([out.writableEnded, still.writableEnded]).toEqual([true, false]);
});

it("answers who only asks for the head of a stream, and opens none", async () => {
  const api = await startManagement();
  const answer = await api.ask("HEAD", "/api/v1/events");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
});
