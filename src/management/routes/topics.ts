import { type Static, Type } from "typebox";
import { canonical } from "../../../core/addresses/spelling.ts";
import { BrokerError } from "../../../core/errors.ts";
import { isTemporary } from "../../../core/routing/admission.ts";
import { QueueTarget } from "../../../core/routing/virtual-topic.ts";
import { isSystemTopic } from "../../../core/system-topics.ts";
import { DurableSubscription } from "../../../core/topic/durable-subscription.ts";
import type { Topic, TopicTarget } from "../../../core/topic/topic.ts";
import { TopicFeed } from "../../../core/topic/topic-feed.ts";
import type { VirtualHost } from "../../../core/virtual-host.ts";
import { effectivePolicy } from "../../config/effective-policy.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";
import { PolicySettings } from "../policy.ts";
import { listProducers, PRODUCERS } from "../producers.ts";
import { LostByReason, ledgerFields, lostByReason } from "../queue-fields.ts";
import { PageQuery, Table } from "../table.ts";
import { nullable, words } from "../schemas.ts";

const TOPICS: Table<Topic> = new Table<Topic>("Topic", "name", {
  name: { schema: Type.String({ description: "Canonical." }), read: (topic) => topic.address.name },
  temporary: {
    schema: Type.Boolean({ description: "Whether it goes with a connection." }),
    read: (topic) => isTemporary(topic.address),
  },
  subscribers: {
    schema: Type.Integer({ description: "Subscriptions, durable ones and queues that get its messages." }),
    read: (topic) => topic.targets.length,
  },
  last_used: {
    schema: Type.Integer({ description: "When it was last found in use, in milliseconds since 1970." }),
    read: (topic) => topic.lastUsed,
  },
  ...ledgerFields<Topic>((topic) => topic.ledger),
});

const SUBSCRIBERS: Table<TopicTarget> = new Table<TopicTarget>("Subscriber", "id", {
  kind: {
    schema: words(["subscription", "durable", "queue", "exchange"]),
    read: kindOf,
  },
  id: {
    schema: Type.String({ description: "The connection's id, the durable subscription's, or the queue's name." }),
    read: idOf,
  },
  subscription: {
    schema: nullable(Type.Integer(), "Which of its connection's."),
    read: (target) => (target instanceof TopicFeed ? target.subscription.id : null),
  },
  user: {
    schema: nullable(Type.String()),
    read: (target) => (target instanceof TopicFeed ? (target.subscription.client.user ?? null) : null),
  },
  pending_bytes: {
    schema: Type.Integer({ description: "Bytes that wait for it." }),
    read: (target) => (target instanceof TopicFeed ? target.pendingBytes : 0),
  },
  held: {
    schema: Type.Integer({ description: "Messages it has not settled yet." }),
    read: (target) => (target instanceof TopicFeed ? target.held : 0),
  },
  delivered: {
    schema: Type.Integer({ description: "Messages it was handed, of all its topics." }),
    read: (target) => (target instanceof TopicFeed ? target.subscription.delivered : 0),
  },
  waiting_on: {
    schema: nullable(Type.String()),
    read: (target) => (target instanceof TopicFeed ? target.subscription.waitingOn : null),
  },
});

const HostParams = Type.Object({ host: Type.String() });
const TopicParams = Type.Object({ host: Type.String(), topic: Type.String({ description: "The canonical name." }) });

const TopicDetail = Type.Object(
  {
    ...TOPICS.row.properties,
    retained: Type.Boolean({ description: "Whether it retains a message." }),
    lost_by_reason: LostByReason,
    policy: PolicySettings,
    targets: Type.Array(SUBSCRIBERS.row, { description: "The first hundred of its subscribers." }),
  },
  { title: "TopicDetail" },
);

const TARGETS_SHOWN = 100;
const tags = ["topics"];

/** Topics: what there is of them, and what an operator does to one as a whole. */
export function topicRoutes(app: ManagementApp, context: ManagementContext): void {
  app.get(
    "/hosts/:host/topics",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "List", params: HostParams, querystring: PageQuery, response: { 200: TOPICS.page } },
    },
    ({ params, query }) => TOPICS.list(hostOf(context, params.host).topics, query),
  );

  app.get(
    "/hosts/:host/topics/:topic",
    {
      config: { right: "monitor host" },
      schema: { tags, summary: "Look at one", params: TopicParams, response: { 200: TopicDetail } },
    },
    ({ params }) => {
      const host = hostOf(context, params.host);
      return detailOf(context, host, topicOf(host, params.topic));
    },
  );

  app.get(
    "/hosts/:host/topics/:topic/subscribers",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List its subscribers",
        params: TopicParams,
        querystring: PageQuery,
        response: { 200: SUBSCRIBERS.page },
      },
    },
    ({ params, query }) => {
      const { targets } = topicOf(hostOf(context, params.host), params.topic);
      return SUBSCRIBERS.list({ size: targets.length, values: () => targets }, query);
    },
  );

  app.get(
    "/hosts/:host/topics/:topic/producers",
    {
      config: { right: "monitor host" },
      schema: {
        tags,
        summary: "List those who send to it",
        params: TopicParams,
        querystring: PageQuery,
        response: { 200: PRODUCERS.page },
      },
    },
    ({ params, query }) => {
      const host = hostOf(context, params.host);
      const topic = topicOf(host, params.topic);
      return listProducers(host, (route) => route.leadsTo(topic), query);
    },
  );

  app.put(
    "/hosts/:host/topics/:topic",
    {
      config: { right: "admin host", audit: "topic.create" },
      schema: {
        tags,
        summary: "Create",
        description: "Unless it is there. One that nobody uses goes again (auto_delete_after).",
        params: TopicParams,
        response: { 200: TopicDetail, 201: TopicDetail },
      },
    },
    ({ params }, reply) => {
      const host = hostOf(context, params.host);
      const address = canonical.parse("topic", params.topic);
      if (isSystemTopic(address)) {
        throw new BrokerError("not-authorized", `Only the broker itself has ${address.name}: it is a system topic`);
      }
      reply.code(host.topics.has(address.name) ? 200 : 201);
      host.createTopic(address);
      return detailOf(context, host, topicOf(host, address.name));
    },
  );

  app.delete(
    "/hosts/:host/topics/:topic",
    {
      config: { right: "admin host", audit: "topic.delete" },
      schema: { tags, summary: "Delete if nobody is subscribed", params: TopicParams, response: { 204: Type.Null() } },
    },
    async ({ params }, reply) => {
      const host = hostOf(context, params.host);
      host.deleteTopic(topicOf(host, params.topic).address);
      reply.code(204);
      return null;
    },
  );
}

function topicOf(host: VirtualHost, name: string): Topic {
  const topic = host.topics.get(canonical.parse("topic", name).name);
  if (topic !== undefined) return topic;
  throw new BrokerError("not-found", `There is no topic ${name} in virtual host ${host.name}`);
}

function detailOf({ config }: ManagementContext, host: VirtualHost, topic: Topic): Static<typeof TopicDetail> {
  return {
    ...TOPICS.show(topic),
    retained: host.retained.get(topic.address) !== undefined,
    lost_by_reason: lostByReason(topic.ledger),
    policy: effectivePolicy(config(), "topics", topic.address.name, topic.policy),
    targets: topic.targets.slice(0, TARGETS_SHOWN).map((target) => SUBSCRIBERS.show(target)),
  };
}

function kindOf(target: TopicTarget): string {
  if (target instanceof TopicFeed) return "subscription";
  if (target instanceof DurableSubscription) return "durable";
  return target instanceof QueueTarget ? "queue" : "exchange";
}

function idOf(target: TopicTarget): string {
  if (target instanceof TopicFeed) return target.subscription.client.id;
  if (target instanceof DurableSubscription) return target.id;
  return target instanceof QueueTarget ? target.admission.address.name : "";
}
