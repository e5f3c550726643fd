import { type Static, Type } from "typebox";
import type { Address } from "../../../core/addresses/address.ts";
import { canonical } from "../../../core/addresses/spelling.ts";
import { BrokerError } from "../../../core/errors.ts";
import type { Choice } from "../../../core/operations/operation.ts";
import { compileSelector } from "../../../core/selector/selector.ts";
import { callerOf, hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { HOLDER_KINDS } from "../holders.ts";
import { type Job, Jobs } from "../jobs.ts";
import { PageQuery, Table } from "../table.ts";
import { nullable, words } from "../schemas.ts";

const JOBS: Table<Job> = new Table<Job>("Job", "id", {
  id: { schema: Type.String(), read: ({ id }) => id },
  host: { schema: Type.String(), read: ({ host }) => host },
  kind: {
    schema: words(["move", "copy", "redrive", "purge"]),
    read: ({ kind }) => kind,
  },
  source: { schema: Type.String(), read: ({ source }) => source },
  target: { schema: nullable(Type.String()), read: ({ target }) => target ?? null },
  user: { schema: nullable(Type.String()), read: ({ user }) => user ?? null },
  state: {
    schema: Type.Union(
      ["running", "finished", "cancelled", "source-deleted", "target-deleted", "failed"].map((each) =>
        Type.Literal(each),
      ),
    ),
    read: stateOf,
  },
  done: {
    schema: Type.Integer({ description: "Messages moved, copied or purged so far." }),
    read: ({ operation, done }) => operation?.moved ?? done,
  },
  skipped: {
    schema: Type.Integer({ description: "Messages that were chosen and stayed where they are." }),
    read: ({ operation, skipped }) => operation?.skipped ?? skipped,
  },
  waiting_on: {
    schema: nullable(Type.String(), "What is full, while it waits for room."),
    read: ({ operation }) => operation?.waitingOn ?? null,
  },
  started_at: { schema: Type.Integer(), read: ({ startedAt }) => startedAt },
  ended_at: { schema: nullable(Type.Integer()), read: ({ endedAt }) => endedAt ?? null },
  skipped_by_reason: {
    schema: Type.Record(Type.String(), Type.Integer(), { description: "Known once it has ended." }),
    read: ({ result }) => Object.fromEntries(result?.skipped ?? []),
  },
  failure: { schema: nullable(Type.String()), read: ({ failure }) => failure ?? null },
});

const WhichMessages = {
  selector: Type.Optional(Type.String({ maxLength: 65_536, description: "Only messages that it matches." })),
  sequences: Type.Optional(
    Type.Array(Type.Integer({ minimum: 0 }), { maxItems: 10_000, description: "Only messages at these places." }),
  ),
  max: Type.Optional(Type.Integer({ minimum: 1, description: "How many at most." })),
};
const PerSecond = Type.Optional(Type.Number({ exclusiveMinimum: 0, description: "How many in a second at most." }));
const Target = Type.Object(
  {
    kind: words(["queue", "topic"], { default: "queue" }),
    name: Type.String({ minLength: 1, maxLength: 4096, description: "The canonical name; made if it is not there." }),
  },
  { additionalProperties: false },
);
const CLOSED = { additionalProperties: false };
const Move = Type.Object({ to: Target, ...WhichMessages, per_second: PerSecond }, { ...CLOSED, title: "Move" });
const Copy = Type.Object({ to: Target, ...WhichMessages }, { ...CLOSED, title: "Copy" });
const Redrive = Type.Object({ ...WhichMessages, per_second: PerSecond }, { ...CLOSED, title: "Redrive" });
const Purge = Type.Object({ ...WhichMessages, per_second: PerSecond }, { ...CLOSED, title: "Purge" });

const HostParams = Type.Object({ host: Type.String() });
const JobParams = Type.Object({ host: Type.String(), job: Type.String() });
const SourceParams = Type.Object({ host: Type.String(), name: Type.String() });

const SUMMARIES = {
  move: "Move messages to another destination",
  copy: "Copy messages to another destination",
  redrive: "Send dead letters back to where they come from",
  purge: "Throw messages away",
} as const;

interface Asked {
  readonly to?: Static<typeof Target>;
  readonly selector?: string;
  readonly sequences?: readonly number[];
  readonly max?: number;
  readonly per_second?: number;
}

/** What an operator does to many messages: begun by one request, watched and cancelled by others. */
export function jobRoutes(app: ManagementApp, context: ManagementContext): void {
  const jobs = new Jobs(context.clock);
  for (const kind of ["move", "copy", "redrive", "purge"] as const) {
    for (const holder of HOLDER_KINDS) {
      app.post(
        `/hosts/:host/${holder.segment}/:name/${kind}`,
        {
          config: { right: "admin host", audit: `${holder.word}.${kind}` },
          schema: {
            tags: [holder.tag],
            summary: SUMMARIES[kind],
            description: "Messages that somebody holds stay as they are. The reply is the job that does it.",
            params: SourceParams,
            body: { move: Move, copy: Copy, redrive: Redrive, purge: Purge }[kind],
            response: { 202: JOBS.row },
          },
        },
        (request, reply) => {
          const { params } = request;
          const asked: Asked = request.body;
          const host = hostOf(context, params.host);
          const source = holder.find(host, params.name);
          const target = asked.to === undefined ? undefined : addressOf(asked.to);
          const choice = choiceOf(asked);
          const about = {
            host: host.name,
            kind,
            source: `${holder.word}:${params.name}`,
            target: target === undefined ? undefined : `${target.kind}:${target.name}`,
            user: callerOf(request).login.user,
          };
          const job = jobs.begin(about, () => {
            if (kind === "purge") return host.operations.purge(source, choice);
            if (kind === "redrive") return host.operations.redrive(source, choice);
            if (target === undefined) throw new BrokerError("bad-request", "Nothing says where to (to)");
            return host.operations[kind](source, target, choice);
          });
          reply.code(202).header("location", `/api/v1/hosts/${encodeURIComponent(host.name)}/jobs/${job.id}`);
          return JOBS.show(job);
        },
      );
    }
  }
  watching(app, context, jobs);
}

function watching(app: ManagementApp, context: ManagementContext, jobs: Jobs): void {
  const tags = ["jobs"];
  app.get(
    "/hosts/:host/jobs",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: JOBS.page } },
    },
    ({ params, query }) => {
      const { name } = hostOf(context, params.host);
      const own = Array.from(jobs.all.values()).filter(({ host }) => host === name);
      return JOBS.list({ size: own.length, values: () => own }, query);
    },
  );

  app.get(
    "/hosts/:host/jobs/:job",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: JobParams, response: { 200: JOBS.row } },
    },
    ({ params }) => JOBS.show(jobs.get(hostOf(context, params.host).name, params.job)),
  );

  app.delete(
    "/hosts/:host/jobs/:job",
    {
      config: { right: "admin host", audit: "job.cancel" },
      schema: {
        tags,
        summary: "Cancel",
        description: "What is done stays done.",
        params: JobParams,
        response: { 200: JOBS.row },
      },
    },
    async ({ params }) => {
      const job = jobs.get(hostOf(context, params.host).name, params.job);
      const { operation } = job;
      operation?.cancel();
      // How it ended is known a moment later.
      await operation?.finished.catch(() => {});
      return JOBS.show(job);
    },
  );
}

function addressOf({ kind, name }: Static<typeof Target>): Address {
  return canonical.parse(kind, name);
}

function choiceOf({ selector, sequences, max, per_second: perSecond }: Asked): Choice {
  return {
    selector: selector === undefined ? undefined : compileSelector(selector),
    sequences: sequences === undefined ? undefined : new Set(sequences),
    max,
    perSecond,
  };
}

function stateOf({ result, failure }: Job): string {
  if (failure !== undefined) return "failed";
  return result?.ended ?? "running";
}
