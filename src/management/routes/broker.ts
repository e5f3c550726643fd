import { Type } from "typebox";
import type { ManagementApp, ManagementContext } from "../context.ts";

const Overview = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    time: Type.Integer({ description: "Now, in milliseconds since 1970." }),
    hosts: Type.Array(Type.String()),
  },
  { title: "Broker" },
);

/** The broker as a whole. */
export function brokerRoutes(app: ManagementApp, { broker, clock }: ManagementContext): void {
  app.get(
    "/broker",
    { config: { right: "monitor broker" }, schema: { tags: ["broker"], response: { 200: Overview } } },
    () => ({ name: broker.name, version: broker.version, time: clock.now(), hosts: [...broker.hosts.keys()] }),
  );

  app.get("/openapi.json", { config: { right: "none" }, schema: { hide: true } }, () => app.swagger());
}
