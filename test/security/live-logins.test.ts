import { expect, it } from "vitest";
import { reviewLogins } from "../../src/security/live-logins.ts";
import { coreBroker } from "../support/core-broker.ts";

it("a look at the logins of many clients lets others have their turn", async () => {
  const core = await coreBroker();
  const all = 2000;
  for (let n = 0; n < all; n++) core.client();
  let seen = 0;
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  await reviewLogins(core.broker, () => ++seen > 0);
  over = true;
  expect(seen).toBe(all);
  expect(turns).toBeGreaterThan(5);
});
