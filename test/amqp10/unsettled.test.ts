import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Delivery } from "../../core/protocol.ts";
import type { SenderLink } from "../../protocols/amqp10/sender.ts";
import { SentDeliveries } from "../../protocols/amqp10/unsettled.ts";

/** Links are only kept and compared here. */
function links(): SenderLink[] {
  return [{}, {}] as SenderLink[];
}

const DELIVERY: Delivery = { message: undefined, size: 1, deliveries: 0, sequence: 0 };

describe("the deliveries that a session has sent", () => {
  it("are found by their numbers until they are taken, in whatever order", () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant("add" as const), link: fc.nat(1) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("pass" as const) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("take" as const), which: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), link: fc.nat(1) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const [first, second] = links();
        if (first === undefined || second === undefined) return;
        const sent = new SentDeliveries();
        const model = new Map<number, SenderLink>();
        let next = 0;
        for (const said of steps) {
          const link = "link" in said && said.link === 1 ? second : first;
          if (said.do === "add") {
            expect(sent.add(link, DELIVERY, next)).toBe(next);
            model.set(next++, link);
          } else if (said.do === "pass") {
            expect(sent.pass()).toBe(next++);
          } else if (said.do === "take") {
            const number = said.which % (next + 2);
            expect(sent.take(number)).toBe(model.has(number) ? DELIVERY : undefined);
            model.delete(number);
          } else {
            const own = [...model].filter(([, of]) => of === link).map(([number]) => number);
            expect(sent.takeAllOf(link).map(({ tag }) => tag)).toEqual(own);
            for (const number of own) model.delete(number);
          }
          expect(sent.count).toBe(model.size);
        }
        for (let number = 0; number < next; number++) expect(sent.linkAt(number)).toBe(model.get(number));
      }),
    );
  });

  it("may include very old ones, which cost no room for those behind them", () => {
    const [link] = links();
    if (link === undefined) return;
    const sent = new SentDeliveries();
    const old = [sent.add(link, DELIVERY, 0), sent.add(link, DELIVERY, 1)];
    for (let i = 0; i < 200_000; i++) sent.take(sent.add(link, DELIVERY, i));
    expect(sent.count).toBe(2);
    expect(sent.stragglers(0, sent.next)).toEqual(old);
    expect(sent.stragglers(1, 1)).toEqual([1]);
    expect(sent.next - sent.base).toBeLessThan(70_000);
    expect(sent.take(0)).toBe(DELIVERY);
    expect(sent.takeAllOf(link)).toMatchObject([{ tag: 1 }]);
    expect(sent.count).toBe(0);
  });

  it("have ids of 32 bits, which stand for what was given last", () => {
    const [link] = links();
    if (link === undefined) return;
    const sent = new SentDeliveries();
    expect(sent.numberOf(0)).toBe(-1);
    for (let i = 0; i < 5; i++) sent.add(link, DELIVERY, i);
    expect([0, 4, 5, 0xffff_ffff].map((id) => sent.numberOf(id))).toEqual([0, 4, -1, -1]);
  });
});
