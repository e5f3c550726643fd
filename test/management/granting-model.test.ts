import fc from "fast-check";
import { expect, it } from "vitest";
import { ACTIONS, RESOURCE_KINDS, type Subject } from "../../core/access/access.ts";
import type { AccessRule } from "../../core/access/rule.ts";
import { AccessRules } from "../../core/access/rules.ts";
import { missingRight } from "../../src/management/granting.ts";

const GROUPS = ["a", "b", "c"] as const;
const LISTENERS = ["management", "stomp", "mqtt"] as const;
const HOSTS = ["one", "two"] as const;
const NAMES = ["x", "x.y", "x.z", "x.y.z", "own.giver", "own.taker", "own.taker.x", "elsewhere"] as const;

const groups = fc.subarray([...GROUPS]);
const principals = fc.subarray([...GROUPS, "*", "+", "giver", "taker"], { maxLength: 2 });
const names: fc.Arbitrary<Pick<AccessRule, "id" | "idRegex">> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom("x", "x.y", "x.*", "x.**", "**", "*", "x.y.**", "own.%u", "own.%u.**", "own.taker", "own.giver")
      .map((id) => ({ id })),
  },
  { weight: 1, arbitrary: fc.constantFrom("x[.].*", "own.*", ".*").map((idRegex) => ({ idRegex })) },
);
const rule = fc
  .record({
    allow: principals,
    deny: principals,
    principalKinds: fc.constantFrom<AccessRule["principalKinds"]>(["group"], ["user"], ["*"]),
    actions: fc.constantFrom<AccessRule["actions"]>(["*"], ["send"], ["send", "config"]),
    kinds: fc.constantFrom<AccessRule["kinds"]>(["*"], ["queue"], ["queue", "virtual-host"], ["broker"]),
    connector: fc.option(fc.constantFrom(...LISTENERS), { nil: undefined, freq: 4 }),
  })
  .chain((about) => names.map((name): AccessRule => ({ ...about, ...name, origin: "" })));
const rules = fc.record({
  broker: fc.array(rule, { minLength: 1, maxLength: 5 }),
  host: fc.array(rule, { maxLength: 2 }),
});

function subject(user: string, of: readonly string[]): Subject {
  return { user, groups: of, principals: [], listener: "management", clientId: "client" };
}

function placed(list: readonly AccessRule[], place: string): AccessRule[] {
  return list.map((each, index) => ({ ...each, origin: `${place}[${index}]` }));
}

it("whoever may give an account away may do himself what it may do", () => {
  let given = 0;
  fc.assert(
    fc.property(rules, groups, groups, ({ broker, host }, ofGiver, ofTaker) => {
      const set = { broker: placed(broker, "access_rules"), hosts: new Map([["one", placed(host, "hosts.one")]]) };
      const access = new AccessRules(set);
      const [giver, taker] = [subject("giver", ofGiver), subject("taker", ofTaker)];
      if (missingRight(access, giver, taker) !== undefined) return;
      given++;
      for (const listener of LISTENERS) {
        for (const where of HOSTS) {
          const may = (who: Subject) => access.permissions({ ...who, listener }, where);
          const [his, others] = [may(giver), may(taker)];
          for (const action of ACTIONS) {
            for (const kind of RESOURCE_KINDS) {
              for (const name of NAMES) {
                // A place of his own stands for that of anybody.
                const own = name.replace("own.taker", "own.giver");
                const takes = others.decide(action, kind, name).allowed;
                const has = his.decide(action, kind, name).allowed || his.decide(action, kind, own).allowed;
                if (takes && !has) expect.fail(`${action} ${kind} ${name} at ${listener} in ${where}`);
              }
            }
          }
        }
      }
    }),
    { numRuns: 300 },
  );
  // Else it would say nothing.
  expect(given).toBeGreaterThan(20);
});
