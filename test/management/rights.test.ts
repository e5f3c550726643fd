import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

const RULES = [
  { principal_kind: ["user"], deny: ["*"], action: ["admin"], kind: ["virtual-host"], id: "default" },
  { allow: ["*"] },
];

it("the rights to management are asked of the same rules, and the rule that refused is named", async () => {
  const api = await startManagement([`access_rules=${JSON.stringify(RULES)}`]);
  const refused = await api.delete("/api/v1/hosts/default/retained/a");
  expect(refused).toMatchObject({ status: 403, body: { code: "not-authorized" } });
  expect(refused.body).toMatchObject({
    detail: expect.stringMatching(/lacks the right "admin" on the virtual-host default: access_rules\[0\] denies it/),
  });
  expect((await api.get("/api/v1/hosts/default/queues")).status).toBe(200);
});

it("the rules of a virtual host hold for its management", async () => {
  const api = await startManagement([
    'hosts.default.access_rules=[{deny: ["*"], action: [monitor]}, {allow: ["*"]}]',
    'access_rules=[{allow: ["*"]}]',
  ]);
  expect((await api.get("/api/v1/hosts/default/queues")).status).toBe(403);
  expect((await api.get("/api/v1/broker")).status).toBe(200);
});
