import { expect, it } from "vitest";
import type { Access } from "../../core/access/access.ts";
import { coreBroker, parse } from "../support/core-broker.ts";
import { connect } from "../support/core-sessions.ts";

/** Only who is in the group `senders` may send. */
const access: Access = { allows: ({ groups }, action) => action !== "send" || groups.includes("senders") };

it("a client may do what the groups of its new login allow, from its next route on", async () => {
  const core = await coreBroker({ broker: { access } });
  const client = connect(core, { login: { user: "ann", groups: [] } });
  const route = () => client.core.route([parse("topic:t")]);
  expect(route).toThrow("User ann may not send the topic t");
  client.core.renewLogin({ user: "ann", groups: ["senders"] });
  expect(route().addresses).toHaveLength(1);
  expect(client.core.login).toEqual({ user: "ann", groups: ["senders"] });
});

it("a client cannot become another user", async () => {
  const core = await coreBroker();
  const client = connect(core, { login: { user: "ann", groups: ["senders"] } });
  expect(() => client.core.renewLogin({ user: "bob", groups: [] })).toThrow(
    "The new login is of user bob; expected ann, whose connection this is",
  );
  expect(client.core.login).toEqual({ user: "ann", groups: ["senders"] });
});

it.each<[string, string[], number]>([
  ["published", ["senders"], 1],
  ["refused", [], 0],
])("a will is %s by the last login of its client, in the store too", async (_what, groups, published) => {
  const core = await coreBroker({ broker: { access } });
  const client = connect(core, { expiryMs: 0, login: { user: "ann", groups: published === 0 ? ["senders"] : [] } });
  client.will("topic:w", "gone");
  client.core.renewLogin({ user: "ann", groups });
  core.settle();
  const kept = core.store.keys("will");
  const records = [...kept].map(({ key }) => core.store.get("will", key)?.toString("latin1") ?? "");
  expect(records.map((record) => record.includes('"senders"'))).toEqual([published === 1]);
  client.core.close();
  expect(core.broker.host(undefined)?.wills.published).toBe(published);
});
