import type { JSX } from "preact";
import { DurableSubscriptionsPage } from "./pages/durable-subscriptions.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { QueuesPage } from "./pages/queues.tsx";
import { TopicsPage } from "./pages/topics.tsx";
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
];

/** The page of an address. */
export function pageOf([id = OVERVIEW.id]: readonly string[]): Page {
  return PAGES.find((page) => page.id === id) ?? OVERVIEW;
}
