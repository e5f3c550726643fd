import { expect, it } from "vitest";
import { startManagement } from "../support/management.ts";

it("says who one is, by password", async () => {
  const api = await startManagement();
  const { status, body } = await api.get("/api/v1/session");
  expect(status).toBe(200);
  expect(body).toEqual({ user: "admin", groups: ["admins"], by: "password" });
});
