import { type Static, Type } from "typebox";
import { BrokerError } from "../../../core/errors.ts";
import { originText } from "../../config/given.ts";
import { editorSchema } from "../../config/editor-schema.ts";
import { configSchema } from "../../config/schema.ts";
import { type EffectiveSetting, effective, type Setting } from "../../config/setting.ts";
import type { ManagementApp, ManagementContext, Planned } from "../context.ts";
import { PageQuery, Table } from "../table.ts";

/** One line of the configuration, as it runs and as it is written. */
interface Line {
  readonly key: string;
  readonly value: EffectiveSetting["value"];
  readonly origin: string | null;
  /** What is written by now, if that is something else; null for nothing. */
  readonly pending: EffectiveSetting["value"] | undefined;
}

const Value = Type.Unknown({ description: "As it may be written, with its unit. Secrets are masked." });

const SETTINGS: Table<Line> = new Table<Line>("Setting", "key", {
  key: { schema: Type.String({ description: "As --set takes it: listeners.stomp.port." }), read: ({ key }) => key },
  value: { schema: Value, read: ({ value }) => value },
  origin: {
    schema: Type.Union([Type.String(), Type.Null()], {
      description: "Where it is written now; null for what comes from no place, or is not read from files.",
    }),
    read: ({ origin }) => origin,
  },
  changed: {
    schema: Type.Boolean({ description: "Whether something else is written by now, which does not count yet." }),
    read: ({ pending }) => pending !== undefined,
  },
  written: { schema: Value, read: ({ value, pending }) => (pending === undefined ? value : pending) },
});

const Reloaded = Type.Object(
  {
    applied: Type.Array(Type.String(), { description: "Settings that changed and count now." }),
    needs_restart: Type.Array(Type.String(), {
      description: "Settings that changed and count from the next start on.",
    }),
  },
  { title: "Reloaded" },
);
const PlanBody = Type.Object(
  {
    text: Type.Optional(
      Type.String({
        maxLength: 1024 * 1024,
        description: "YAML in place of what the configuration file holds; that file itself if absent.",
      }),
    ),
  },
  { additionalProperties: false },
);
const Plan = Type.Object(
  {
    valid: Type.Boolean(),
    problems: Type.Array(Type.String(), { description: "All that is wrong, each with its place." }),
    warnings: Type.Array(Type.String()),
    changes: Type.Array(Type.Object({ key: Type.String(), from: Value, to: Value, needs_restart: Type.Boolean() }), {
      description: "What would change.",
    }),
  },
  { title: "ConfigurationPlan" },
);
const tags = ["configuration"];

/** The configuration: what holds and why, what another one would change, and reading it again. */
export function configurationRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/configuration",
    {
      config: { right: "config broker" },
      schema: {
        tags,
        summary: "List what holds, with where it is written",
        querystring: PageQuery,
        response: { 200: SETTINGS.page },
      },
    },
    ({ query }) => {
      const lines = linesOf(context);
      return SETTINGS.list({ size: lines.length, values: () => lines }, query);
    },
  );

  app.get(
    "/configuration/schema",
    {
      config: { right: "config broker" },
      schema: { tags, summary: "The JSON schema of the configuration, for editors", response: { 200: Type.Unknown() } },
    },
    () => JSON.parse(editorSchema()),
  );

  app.post(
    "/configuration/plan",
    {
      config: { right: "config broker" },
      schema: {
        tags,
        summary: "Check a configuration and say what it would change",
        description: "Nothing is taken over. Environment and command line count as they did when the broker started.",
        body: PlanBody,
        response: { 200: Plan },
      },
    },
    ({ body }) => planOf(context, plan(context, body.text)),
  );

  app.post(
    "/configuration/reload",
    {
      config: { right: "config broker", audit: "configuration.reload" },
      schema: {
        tags,
        summary: "Read the configuration and certificates again",
        description: "As SIGHUP has it done. If anything is wrong, all stays as it is.",
        response: { 200: Reloaded },
      },
    },
    async () => {
      const reloaded = await context.reload();
      if (!reloaded.ok) throw new BrokerError("bad-request", reloaded.problems.join("; "));
      return { applied: [...reloaded.applied], needs_restart: [...reloaded.needsRestart] };
    },
  );
}

function plan(context: ManagementContext, text: string | undefined): Planned {
  const planned = context.plan(text);
  if (planned !== undefined) return planned;
  throw new BrokerError("conflict", "This broker was not started from a configuration file");
}

function linesOf(context: ManagementContext): Line[] {
  const planned = context.plan(undefined);
  const written = new Map<string, EffectiveSetting>();
  const changed: string[] = [];
  if (planned?.ok === true) {
    for (const setting of effective(planned.settings, configSchema)) written.set(setting.key, setting);
    changed.push(...planned.applied, ...planned.needsRestart);
  }
  return running(context).map(({ key, value }) => {
    const there = written.get(key);
    const origin = there === undefined ? null : originText(there.origin);
    return {
      key,
      value,
      origin,
      pending: changed.some((each) => isOf(key, each)) ? (there?.value ?? null) : undefined,
    };
  });
}

function planOf(context: ManagementContext, planned: Planned): Static<typeof Plan> {
  if (!planned.ok) return { valid: false, problems: [...planned.problems], warnings: [], changes: [] };
  const before = new Map(running(context).map(({ key, value }) => [key, value]));
  const after = new Map(Array.from(effective(planned.settings, configSchema), ({ key, value }) => [key, value]));
  const changes = [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const needsRestart = planned.needsRestart.some((changed) => isOf(key, changed));
    if (!needsRestart && !planned.applied.some((changed) => isOf(key, changed))) return [];
    return [{ key, from: before.get(key) ?? null, to: after.get(key) ?? null, needs_restart: needsRestart }];
  });
  return { valid: true, problems: [], warnings: [...planned.warnings], changes };
}

/** Whether a key is that of a section or a list, or of something in it. */
function isOf(key: string, section: string): boolean {
  return key === section || key.startsWith(`${section}.`) || key.startsWith(`${section}[`);
}

/** What holds now, without the accounts that no configuration has. */
function running({ config, accounts }: ManagementContext): readonly EffectiveSetting[] {
  const now = config();
  const users = Object.entries(now.security.users).filter(([name]) => !accounts.users.has(name));
  const keys = Object.entries(now.management.api_keys).filter(([name]) => !accounts.keys.has(name));
  const configured = {
    ...now,
    security: { ...now.security, users: Object.fromEntries(users) },
    management: { ...now.management, api_keys: Object.fromEntries(keys) },
  };
  return [...effective(settingOf(configured), configSchema)];
}

function settingOf(value: unknown): Setting {
  const origin = { kind: "default" } as const;
  if (Array.isArray(value)) return { kind: "list", items: value.map(settingOf), origin };
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    return { kind: "group", entries: new Map(entries.map(([key, inner]) => [key, settingOf(inner)])), origin };
  }
  const known = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return { kind: "value", value: known ? value : String(value), origin };
}
