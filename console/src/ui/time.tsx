import type { JSX } from "preact";
import { ago, clock, LAST_MOMENT, moment } from "../format.ts";

/** How a moment is told: in full, in few characters, or by how far it is from now. */
export type Telling = "moment" | "clock" | "ago";

const TELL: Readonly<Record<Telling, (at: number) => string>> = { moment, clock, ago };

/** A moment, in milliseconds since 1970, in the reader's own time; exactly, and of the world, for whoever points at it. */
export function Time({ at, as = "moment" }: { readonly at: number; readonly as?: Telling }): JSX.Element {
  if (at <= 0 || at > LAST_MOMENT) return <>{TELL[as](at)}</>;
  const exact = new Date(at).toISOString();
  return (
    <time dateTime={exact} title={as === "moment" ? exact : `${moment(at)} (${exact})`}>
      {TELL[as](at)}
    </time>
  );
}
