import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aside, type Attempt, type LoginModule, refused, unknown, type Verdict } from "../../src/security/attempt.ts";
import { decide, type Placed } from "../../src/security/stack.ts";
import { peerAt } from "../support/logins.ts";

const attempt: Attempt = { user: "ann", password: "x", peer: peerAt("10.1.2.3:1"), evidence: undefined };
const CONTROLS = ["required", "requisite", "sufficient", "optional"] as const;
const KINDS = ["accepted", "passed", "refused"] as const;

type Control = (typeof CONTROLS)[number];
type Kind = (typeof KINDS)[number];

/** Modules that always say the same, and which of them were asked. */
function stackOf(entries: readonly (readonly [Control, Kind | Verdict])[]) {
  const asked: number[] = [];
  const stack = entries.map(([control, answer], index): Placed => {
    const module: LoginModule = {
      check: () => {
        asked.push(index);
        if (typeof answer === "object") return answer;
        if (answer === "accepted") return { kind: "accepted", grant: { user: `user${index}`, groups: [`g${index}`] } };
        return answer === "passed" ? { kind: "passed" } : refused(`no ${index}`);
      },
    };
    return { control, module };
  });
  return { stack, asked };
}

/** What JAAS says of its flags, word by word. */
function expected(entries: readonly (readonly [Control, Kind])[]): boolean {
  let success = false;
  let requiredFailed = false;
  for (const [control, kind] of entries) {
    if (kind === "accepted") success = true;
    if (kind === "accepted" && control === "sufficient" && !requiredFailed) return true;
    if (kind === "refused" && control === "requisite") return false;
    if (kind === "refused" && control === "required") requiredFailed = true;
  }
  return success && !requiredFailed;
}

const entries = fc.array(fc.tuple(fc.constantFrom(...CONTROLS), fc.constantFrom(...KINDS)), { maxLength: 6 });

describe("a stack of login modules", () => {
  it("lets in whom JAAS would", async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (given) => {
        const decision = await decide(stackOf(given).stack, attempt);
        expect(decision.accepted).toBe(expected(given));
      }),
    );
  });

  it.each<[string, [Control, Kind][], number[]]>([
    [
      "requisite module refuses",
      [
        ["requisite", "refused"],
        ["optional", "accepted"],
      ],
      [0],
    ],
    [
      "sufficient module accepts",
      [
        ["sufficient", "accepted"],
        ["required", "refused"],
      ],
      [0],
    ],
    [
      "sufficient one accepts after a required one refused",
      [
        ["required", "refused"],
        ["sufficient", "accepted"],
        ["optional", "refused"],
      ],
      [0, 1, 2],
    ],
    [
      "required module refuses",
      [
        ["required", "refused"],
        ["optional", "accepted"],
      ],
      [0, 1],
    ],
  ])("asks no more, or goes on, when a %s", async (_what, given, order) => {
    const { stack, asked } = stackOf(given);
    await decide(stack, attempt);
    expect(asked).toEqual(order);
  });

  it("adds up what all know who accepted, and the user is the one that the client named", async () => {
    const named: Verdict = { kind: "accepted", grant: { user: "ann", groups: ["b"], expiresAt: 5 } };
    const other: Verdict = { kind: "accepted", grant: { user: "pump", groups: ["a"], expiresAt: 9 } };
    const passed: Verdict = { kind: "passed", principals: [{ kind: "address", name: "10.1.2.3" }] };
    const { stack } = stackOf([
      ["requisite", passed],
      ["optional", other],
      ["optional", "refused"],
      ["required", named],
    ]);
    expect(await decide(stack, attempt)).toMatchObject({
      accepted: true,
      subject: {
        user: "ann",
        groups: new Set(["a", "b"]),
        principals: [{ kind: "address", name: "10.1.2.3" }],
        expiresAt: 5,
      },
    });
  });

  it("takes a guest only when nobody else says who it is", async () => {
    const guest: Verdict = { kind: "accepted", grant: { user: "guest", groups: ["guests"], fallback: true } };
    const both = await decide(
      stackOf([
        ["optional", guest],
        ["optional", "accepted"],
      ]).stack,
      attempt,
    );
    expect(both).toMatchObject({ subject: { user: "user1", groups: new Set(["g1"]) } });
    const alone = await decide(
      stackOf([
        ["optional", guest],
        ["optional", "refused"],
      ]).stack,
      attempt,
    );
    expect(alone).toMatchObject({ subject: { user: "guest", groups: new Set(["guests"]) } });
  });

  it.each<[string, [Control, Kind | Verdict][], string]>([
    [
      "who was required",
      [
        ["optional", "refused"],
        ["required", "refused"],
      ],
      "no 1",
    ],
    [
      "who looked at something",
      [
        ["optional", aside("no certificate")],
        ["optional", "refused"],
      ],
      "no 1",
    ],
    [
      "nobody at all",
      [["optional", "passed"]],
      "None of the login modules lets anybody in who shows this (security.modules)",
    ],
  ])("refuses in the words of %s", async (_what, given, text) => {
    expect(await decide(stackOf(given).stack, attempt)).toEqual({ accepted: false, text, trouble: undefined });
  });

  it("tells trouble from refusals", async () => {
    const { stack } = stackOf([
      ["optional", "refused"],
      ["optional", unknown(new Error("connection refused"))],
    ]);
    expect(await decide(stack, attempt)).toMatchObject({ accepted: false, trouble: "connection refused" });
  });
});
