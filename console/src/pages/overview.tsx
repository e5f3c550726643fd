import type { JSX } from "preact";
import { PageHead } from "../ui/parts.tsx";

/** How the broker does. */
export function OverviewPage(): JSX.Element {
  return <PageHead title="Overview" />;
}
