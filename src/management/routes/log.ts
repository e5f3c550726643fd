import { type Static, Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import { LEVELS } from "../../log.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";

const LevelSchema = Type.Unsafe<(typeof LEVELS)[number]>({ type: "string", enum: LEVELS });

const Levels = Type.Object(
  {
    level: LevelSchema,
    components: Type.Record(Type.String(), LevelSchema, {
      description: "Parts of the broker, each with its own level.",
    }),
  },
  { title: "LogLevels" },
);
const Change = Type.Object(
  {
    level: Type.Optional(LevelSchema),
    components: Type.Optional(Type.Record(Type.String(), LevelSchema, { maxProperties: 1000 })),
  },
  { additionalProperties: false, title: "LogLevelsChange" },
);
const tags = ["log"];

/** How much is logged. */
export function logRoutes(app: ManagementApp, { log }: ManagementContext): void {
  const levels = (): Static<typeof Levels> => ({ level: log.level, components: Object.fromEntries(log.levels) });

  app.get(
    "/log",
    {
      config: { right: "monitor broker" },
      schema: { tags, summary: "The least important kind of event that is logged", response: { 200: Levels } },
    },
    () => levels(),
  );

  app.put(
    "/log",
    {
      config: { right: "admin broker", audit: "log.level" },
      schema: {
        tags,
        summary: "Have more or less logged",
        description:
          "Until a restart, or until the configuration is read again: what holds then is log.level. A level for all of them " +
          "is taken first, then those of single parts.",
        body: Change,
        response: { 200: Levels },
      },
    },
    ({ body }) => {
      const { level, components = {} } = body;
      const known = log.levels;
      for (const name of Object.keys(components)) {
        if (!known.has(name)) {
          throw new BrokerError(
            "not-found",
            `There is no part ${name}; expected one of ${[...known.keys()].join(", ")}`,
          );
        }
      }
      if (level !== undefined) {
        log.level = level;
        for (const name of known.keys()) log.component(name).level = level;
      }
      for (const [name, own] of Object.entries(components)) log.component(name).level = own;
      return levels();
    },
  );
}
