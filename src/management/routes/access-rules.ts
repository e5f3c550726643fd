import { type Static, Type } from "typebox";
import {
  type Action,
  ACTIONS,
  explainDecision,
  permissionsOf,
  RESOURCE_KINDS,
  type ResourceKind,
  type Subject,
} from "../../../core/access/access.ts";
import type { AccessRule } from "../../../core/access/rule.ts";
import { AccessRules } from "../../../core/access/rules.ts";
import { hostOf, type ManagementApp, type ManagementContext } from "../context.ts";

const Rule = Type.Object(
  {
    host: Type.Union([Type.String(), Type.Null()], {
      description: "Null for those of the broker, asked after a host's.",
    }),
    origin: Type.String({ description: "Where it stands: access_rules[2]." }),
    allow: Type.Array(Type.String()),
    deny: Type.Array(Type.String()),
    principal_kinds: Type.Array(Type.String()),
    actions: Type.Array(Type.String()),
    kinds: Type.Array(Type.String()),
    id: Type.Union([Type.String(), Type.Null()], { description: "Names that it is about; null for all." }),
    id_regex: Type.Union([Type.String(), Type.Null()]),
    connector: Type.Union([Type.String(), Type.Null()], { description: "A listener; null for any." }),
  },
  { title: "AccessRule" },
);
const Rules = Type.Object(
  {
    enforced: Type.Boolean({ description: "False when there are none: then everything is allowed." }),
    rules: Type.Array(Rule, { description: "In the order in which they are asked." }),
  },
  { title: "AccessRules" },
);
const Question = Type.Object(
  {
    user: Type.Optional(Type.String({ maxLength: 255 })),
    groups: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
    address: Type.Optional(Type.String({ maxLength: 255, description: "Where it would come from: 10.0.0.7." })),
    certificate: Type.Optional(Type.String({ maxLength: 4096, description: "The subject of its certificate." })),
    client_id: Type.Optional(Type.String({ maxLength: 1024 })),
    listener: Type.Optional(Type.String({ maxLength: 255 })),
    action: Type.Unsafe<Action>({ type: "string", enum: ACTIONS }),
    kind: Type.Unsafe<ResourceKind>({ type: "string", enum: RESOURCE_KINDS }),
    name: Type.String({ maxLength: 4096, description: "Canonical; wildcards of topics and queues are allowed." }),
  },
  { additionalProperties: false, title: "AccessQuestion" },
);
const Answer = Type.Object(
  {
    allowed: Type.Boolean(),
    rule: Type.Union([Type.String(), Type.Null()], { description: "What decided; null when no rule did." }),
    except: Type.Union([Type.String(), Type.Null()], { description: "What takes something out of a wildcard." }),
    explanation: Type.String(),
  },
  { title: "AccessAnswer" },
);
const HostParams = Type.Object({ host: Type.String() });
const tags = ["access rules"];

/** Who may do what, and by which rule. Rules are changed in the configuration, which is then read again. */
export function accessRuleRoutes(app: ManagementApp, context: ManagementContext): void {
  const { access } = context.broker;

  app.get(
    "/access-rules",
    {
      config: { right: "admin broker" },
      schema: {
        tags,
        summary: "List rules",
        description: "They are in the configuration (access_rules) and change when it is read again.",
        response: { 200: Rules },
      },
    },
    () => {
      if (!(access instanceof AccessRules)) return { enforced: false, rules: [] };
      const { broker, hosts } = access.rules;
      const ofHosts = [...hosts].flatMap(([host, rules]) => rules.map((rule) => shown(host, rule)));
      return { enforced: !access.empty, rules: [...ofHosts, ...broker.map((rule) => shown(null, rule))] };
    },
  );

  app.post(
    "/hosts/:host/access",
    {
      config: { right: "admin broker" },
      schema: {
        tags,
        summary: "Ask what somebody might do",
        description: "Nothing is done, and nobody need be connected.",
        params: HostParams,
        body: Question,
        response: { 200: Answer },
      },
    },
    ({ params, body }) => {
      const host = hostOf(context, params.host);
      const { action, kind, name } = body;
      const subject = subjectOf(body);
      const decision = permissionsOf(access, subject, host.name).decide(action, kind, name);
      return {
        allowed: decision.allowed,
        rule: decision.rule ?? null,
        except: decision.except ?? null,
        explanation: explainDecision(subject, action, { kind, name }, decision),
      };
    },
  );
}

function subjectOf({
  user,
  groups = [],
  address,
  certificate,
  client_id: clientId,
  listener,
}: Static<typeof Question>): Subject {
  const principals: Subject["principals"][number][] = [];
  if (address !== undefined) principals.push({ kind: "address", name: address });
  if (certificate !== undefined) principals.push({ kind: "certificate", name: certificate });
  return { user, groups, principals, listener, clientId };
}

function shown(host: string | null, rule: AccessRule): Static<typeof Rule> {
  const { origin, allow, deny, principalKinds, actions, kinds, id, idRegex, connector } = rule;
  return {
    host,
    origin,
    allow: [...allow],
    deny: [...deny],
    principal_kinds: [...principalKinds],
    actions: [...actions],
    kinds: [...kinds],
    id: id ?? null,
    id_regex: idRegex ?? null,
    connector: connector ?? null,
  };
}
