import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

const RULES = [
  "access_rules=[{allow: [admins], principal_kind: [group]}, {deny: [ann], principal_kind: [user], action: [send], kind: [topic], id: 'plant.**'}, {allow: ['*'], action: [connect, send]}]",
];
const QUESTION = { user: "ann", action: "send", kind: "topic" };

it("lists the rules in the order in which they are asked", async () => {
  const api = await startManagement(RULES);
  expect((await api.get("/api/v1/access-rules")).body).toMatchObject({
    enforced: true,
    rules: [
      { origin: "access_rules[0]", host: null, allow: ["admins"], principal_kinds: ["group"], actions: ["*"] },
      { origin: "access_rules[1]", deny: ["ann"], actions: ["send"], kinds: ["topic"], id: "plant.**" },
      { origin: "access_rules[2]", allow: ["*"] },
    ],
  });
});

it("says whether somebody might do something, and which rule decides", async () => {
  const api = await startManagement(RULES);
  const ask = async (more: object) => (await api.post("/api/v1/hosts/default/access", { ...QUESTION, ...more })).body;
  expect(await ask({ name: "plant.heat" })).toMatchObject({
    allowed: false,
    rule: "access_rules[1]",
    explanation: expect.stringContaining("User ann may not send the topic plant.heat"),
  });
  expect(await ask({ name: "office" })).toMatchObject({ allowed: true, rule: "access_rules[2]" });
  expect(await ask({ name: "plant.heat", groups: ["admins"] })).toMatchObject({
    allowed: true,
    rule: "access_rules[0]",
  });
  expect(await ask({ name: "x", action: "receive" })).toMatchObject({ allowed: false, rule: null });
  expect(await ask({ name: "x", action: "fly" })).toMatchObject({ status: 400 });
});

it("says that everything is allowed where there are no rules", async () => {
  const api = await startManagement();
  expect((await api.get("/api/v1/access-rules")).body).toEqual({ enforced: false, rules: [] });
});
