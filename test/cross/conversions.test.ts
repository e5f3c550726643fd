import { describe, expect, it } from "vitest";
import { startBroker } from "../support/broker.ts";
import { conversionsPage } from "./conversions-page.ts";
import { CONVERSIONS, LATER, ORDINARY, TONGUES, type Tongue } from "./conversions.ts";
import type { Place } from "./tongue.ts";

const PAIRS = TONGUES.flatMap((from) =>
  TONGUES.map((to): [string, string, Tongue, Tongue] => [from.name, to.name, from, to]),
);
const PLACES: readonly Place[] = [
  { kind: "queue", name: "work.in" },
  { kind: "topic", name: "news.in" },
];

describe.each(PAIRS)("from %s to %s", (_from, _to, from, to) => {
  it.each(CONVERSIONS)(
    "$title: they are what the table of conversions says, by a queue and by a topic",
    async ({ rows }) => {
      const { port } = await startBroker();
      const listener = await to.connect(port, PLACES);
      const sender = await from.connect(port, []);
      const expected: Record<string, readonly string[]> = {};
      const found: Record<string, readonly string[]> = {};
      for (const row of rows) {
        const said = from.said(row);
        if (said === undefined) continue;
        for (const place of PLACES) {
          const name = `${row.what}, by a ${place.kind}`;
          // Within a protocol a message stays what it is.
          expected[name] = (from === to ? said : to.heard(row)).toSorted();
          await sender.say(place, row);
          found[name] = (await listener.hear()).toSorted();
        }
      }
      expect(found).toEqual(expected);
    },
  );
});

describe.each(PAIRS.filter(([, , from]) => from.said(LATER) !== undefined))("from %s to %s", (_from, _to, from, to) => {
  it("a delayed message comes after what was sent behind it, by a queue and by a topic", async () => {
    const { port } = await startBroker();
    const listener = await to.connect(port, PLACES);
    const sender = await from.connect(port, []);
    for (const place of PLACES) {
      await sender.say(place, LATER);
      await sender.say(place, ORDINARY);
    }
    const found = [await listener.hear(), await listener.hear(), await listener.hear(), await listener.hear()];
    const [now, later] = [ORDINARY, LATER].map((row) => (from === to ? (from.said(row) ?? []) : to.heard(row)));
    expect(found).toEqual([now, now, later, later]);
  });
});

it("docs/conversions.md has the table of conversions; vitest -u writes it", async () => {
  await expect(conversionsPage()).toMatchFileSnapshot("../../docs/conversions.md");
});
