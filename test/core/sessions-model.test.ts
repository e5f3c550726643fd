import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Interest, Quality } from "../../core/sessions/interests.ts";
import { coreBroker, parse, parsePattern } from "../support/core-broker.ts";
import { connect, restart } from "../support/core-sessions.ts";

type Step =
  | { readonly do: "want"; readonly pattern: string; readonly quality: Quality; readonly noLocal: boolean }
  | { readonly do: "leave"; readonly pattern: string }
  | { readonly do: "send"; readonly name: string; readonly durable: boolean; readonly own: boolean }
  | { readonly do: "go" | "come" | "restart" };

const level = fc.constantFrom("a", "b");
const name = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => `topic:${levels.join(".")}`);
const pattern = fc
  .array(fc.oneof(level, fc.constantFrom("*", "**", "#")), { minLength: 1, maxLength: 3 })
  .map((levels) => `topic:${levels.join(".")}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("want" as const), pattern, quality: quality(), noLocal: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("leave" as const), pattern }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("send" as const), name, durable: fc.boolean(), own: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("go" as const, "come" as const, "restart" as const) }) },
);

function quality() {
  return fc.constantFrom<Quality>(0, 1, 2);
}

/** What a session should have been given, told by looking at each interest alone. */
class Model {
  readonly interests = new Map<string, Pick<Interest, "pattern" | "quality" | "noLocal">>();
  readonly expected: string[] = [];
  connected = true;

  sent(to: string, body: string, durable: boolean, own: boolean): void {
    const address = parse(to);
    const matching = [...this.interests.values()].filter((one) => one.pattern.matches(address));
    const surely = durable && matching.some((one) => one.quality > 0);
    if (matching.length === 0 || (!this.connected && !surely)) return;
    if (own && matching.every((one) => one.noLocal)) return;
    this.expected.push(body);
  }
}

describe("a session", () => {
  it.each([true, false])(
    "gets what its interests match, once, however they overlap and change (kept: %s)",
    async (kept) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          let core = await coreBroker();
          const expiryMs = kept ? Number.POSITIVE_INFINITY : 0;
          let client = connect(core, { expiryMs });
          const model = new Model();
          const got: string[] = [];
          const leave = (): void => {
            core.settle();
            got.push(...client.got.bodies);
            client.acceptAll();
            client.core.close();
            core.settle();
          };
          for (const [at, now] of steps.entries()) {
            if (now.do === "send") {
              const own = now.own && model.connected;
              (own ? client : core.client()).send(now.name, String(at), { durable: now.durable });
              model.sent(now.name, String(at), now.durable, own);
            } else if (now.do === "want" || now.do === "leave") {
              if (!model.connected) continue;
              const of = parsePattern(now.pattern);
              if (now.do === "leave") {
                expect(client.session.remove(of)).toBe(model.interests.delete(of.text));
              } else {
                client.want(now.pattern, { quality: now.quality, noLocal: now.noLocal });
                model.interests.set(of.text, { pattern: of, quality: now.quality, noLocal: now.noLocal });
              }
            } else if (kept && now.do === "go" && model.connected) {
              leave();
              model.connected = false;
            } else if (kept && now.do === "come" && !model.connected) {
              client = connect(core, { expiryMs });
              expect(client.present).toBe(true);
              model.connected = true;
            } else if (kept && now.do === "restart" && !model.connected) {
              core.settle();
              core = await restart(core);
            }
          }
          if (!model.connected) client = connect(core, { expiryMs });
          core.settle();
          expect([...got, ...client.got.bodies]).toEqual(model.expected);
          client.core.close();
        }),
        { numRuns: 150 },
      );
    },
  );
});
