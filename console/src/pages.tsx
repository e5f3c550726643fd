import type { JSX } from "preact";
import { AccessRulesPage } from "./pages/access-rules.tsx";
import { AuditPage } from "./pages/audit.tsx";
import { BackupPage } from "./pages/backup.tsx";
import { ConfigurationPage } from "./pages/configuration.tsx";
import { ConnectionsPage } from "./pages/connections.tsx";
import { DeadLettersPage } from "./pages/dead-letters.tsx";
import { DurableSubscriptionsPage } from "./pages/durable-subscriptions.tsx";
import { ExchangesPage } from "./pages/exchanges.tsx";
import { ExplainPage } from "./pages/explain.tsx";
import { JobsPage } from "./pages/jobs.tsx";
import { LimitsPage } from "./pages/limits.tsx";
import { ListenersPage } from "./pages/listeners.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { QueuesPage } from "./pages/queues.tsx";
import { RetainedPage } from "./pages/retained.tsx";
import { SchedulesPage } from "./pages/schedules.tsx";
import { SessionsPage } from "./pages/sessions.tsx";
import { TopicsPage } from "./pages/topics.tsx";
import { TryItPage } from "./pages/try-it.tsx";
import { UsersPage } from "./pages/users.tsx";
import type { IconName } from "./ui/icon.tsx";

/** One page of the console. */
export interface Page {
  /** The first part of its address. */
  readonly id: string;
  readonly title: string;
  readonly icon: IconName;
  /** Under which heading it is listed. */
  readonly group: string;
  readonly hidden?: boolean;
  /** Shows it; what follows in its address names what it is about. */
  readonly show: (about: readonly string[]) => JSX.Element;
}

const OVERVIEW: Page = {
  id: "overview",
  title: "Overview",
  icon: "overview",
  group: "",
  show: () => <OverviewPage />,
};

/** All pages, in the order in which they are listed. */
export const PAGES: readonly Page[] = [
  OVERVIEW,
  { id: "queues", title: "Queues", icon: "queue", group: "Messages", show: ([name]) => <QueuesPage name={name} /> },
  { id: "topics", title: "Topics", icon: "topic", group: "Messages", show: ([name]) => <TopicsPage name={name} /> },
  {
    id: "durable-subscriptions",
    title: "Durable subscriptions",
    icon: "durable",
    group: "Messages",
    show: ([id]) => <DurableSubscriptionsPage id={id} />,
  },
  {
    id: "exchanges",
    title: "Exchanges",
    icon: "exchange",
    group: "Messages",
    show: ([name]) => <ExchangesPage name={name} />,
  },
  {
    id: "dead-letters",
    title: "Dead letters",
    icon: "dead",
    group: "Messages",
    show: ([name]) => <DeadLettersPage name={name} />,
  },
  { id: "schedules", title: "Schedules", icon: "schedule", group: "Messages", show: () => <SchedulesPage /> },
  { id: "retained", title: "Retained messages", icon: "retained", group: "Messages", show: () => <RetainedPage /> },
  { id: "jobs", title: "Jobs", icon: "jobs", group: "Messages", show: () => <JobsPage /> },
  {
    id: "connections",
    title: "Connections",
    icon: "connection",
    group: "Clients",
    show: ([id]) => <ConnectionsPage id={id} />,
  },
  { id: "sessions", title: "Sessions", icon: "session", group: "Clients", show: ([id]) => <SessionsPage id={id} /> },
  { id: "users", title: "Users", icon: "users", group: "Security", show: () => <UsersPage /> },
  {
    id: "access-rules",
    title: "Access rules",
    icon: "rules",
    group: "Security",
    show: () => <AccessRulesPage />,
  },
  { id: "explain", title: "Explain", icon: "explain", group: "Security", show: () => <ExplainPage /> },
  { id: "audit", title: "Audit", icon: "audit", group: "Security", show: () => <AuditPage /> },
  { id: "limits", title: "Limits and alarms", icon: "limits", group: "Operation", show: () => <LimitsPage /> },
  { id: "listeners", title: "Listeners", icon: "listeners", group: "Operation", show: () => <ListenersPage /> },
  {
    id: "configuration",
    title: "Configuration",
    icon: "configuration",
    group: "Operation",
    show: () => <ConfigurationPage />,
  },
  { id: "backup", title: "Backup", icon: "download", group: "Operation", show: () => <BackupPage /> },
  { id: "try-it", title: "Try it", icon: "try", group: "Operation", show: () => <TryItPage /> },
];

/** The page of an address, if there is one. */
export function pageOf([id = OVERVIEW.id]: readonly string[]): Page | undefined {
  return PAGES.find((page) => page.id === id);
}
