import type { ComponentChildren, JSX } from "preact";
import { alter, link, place } from "../route.ts";

/** The head of a page: what it is, where it belongs, what can be done here. */
export interface PageHeadProps {
  readonly title: ComponentChildren;
  readonly intro?: ComponentChildren;
  /** The page above it. */
  readonly up?: { readonly path: readonly string[]; readonly title: string };
  readonly children?: ComponentChildren;
}

/** The first thing on every page. */
export function PageHead({ title, intro, up, children }: PageHeadProps): JSX.Element {
  return (
    <header class="page-head">
      <div class="title">
        {up !== undefined && (
          <a class="crumb" href={link(up.path)}>
            {up.title}
          </a>
        )}
        <h1 class="break">{title}</h1>
        {intro !== undefined && <p>{intro}</p>}
      </div>
      <div class="actions">{children}</div>
    </header>
  );
}

/** A card with a heading. */
export function Card(props: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly flush?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { title, aside, flush = false, children } = props;
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {aside}
      </header>
      <div class={flush ? "scroll" : "body"}>{children}</div>
    </section>
  );
}

/** One number among others. */
export interface TileProps {
  readonly label: string;
  readonly value: string;
  readonly unit?: string;
  readonly href?: string;
}

/** Numbers beside each other. */
export function Tiles({ tiles }: { readonly tiles: readonly TileProps[] }): JSX.Element {
  return (
    <div class="tiles">
      {tiles.map(({ label, value, unit, href }) => {
        const content = (
          <dl>
            <dt>{label}</dt>
            <dd>
              {value}
              {unit !== undefined && <small>{unit}</small>}
            </dd>
          </dl>
        );
        return href === undefined ? (
          <div key={label} class="tile">
            {content}
          </div>
        ) : (
          <a key={label} class="tile" href={href}>
            {content}
          </a>
        );
      })}
    </div>
  );
}

/** Names and values; those that say nothing are left out. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== "" && value !== undefined && value !== null)
        .map(([name, value]) => (
          <>
            <dt key={`${name} name`}>{name}</dt>
            <dd key={name}>{value}</dd>
          </>
        ))}
    </dl>
  );
}

/** How something is, in one word and a colour that says the same. */
export function Badge({ tone, children }: { readonly tone?: Tone; readonly children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${tone ?? ""}`}>{children}</span>;
}

/** What a colour says. */
export type Tone = "good" | "warn" | "bad" | "accent";

const TONES: Readonly<Record<string, Tone>> = {
  ok: "good",
  connected: "good",
  listening: "good",
  open: "good",
  allowed: "good",
  paused: "warn",
  stopped: "warn",
  away: "warn",
  blocked: "warn",
  full: "bad",
  refused: "bad",
  failed: "bad",
  denied: "bad",
};

/** A state as a badge. */
export function State({ value }: { readonly value: string }): JSX.Element | null {
  if (value === "") return null;
  // What is as it should be does not ask to be looked at.
  if (value === "running") return <span class="quiet">running</span>;
  const tone = TONES[value];
  return tone === undefined ? <Badge>{value}</Badge> : <Badge tone={tone}>{value}</Badge>;
}

/** The parts of a page, of which one is shown; which one is in the address of the page. */
export function Tabs({ tabs }: { readonly tabs: readonly (readonly [id: string, title: string])[] }): JSX.Element {
  const current = tabNow(tabs);
  return (
    <nav class="tabs" aria-label="Parts of this page">
      {tabs.map(([id, title]) => (
        <a
          key={id}
          href={link(place.value.path, { tab: id })}
          aria-current={id === current ? "true" : undefined}
          onClick={(event) => {
            event.preventDefault();
            alter({ tab: id, q: undefined, o: undefined });
          }}
        >
          {title}
        </a>
      ))}
    </nav>
  );
}

/** Which of the parts is shown. */
export function tabNow(tabs: readonly (readonly [id: string, title: string])[]): string {
  const wanted = place.value.query.get("tab");
  return tabs.find(([id]) => id === wanted)?.[0] ?? tabs[0]?.[0] ?? "";
}

/** A choice among few. */
export function Segments<T extends string>(props: {
  readonly label: string;
  readonly choices: readonly (readonly [T, string])[];
  readonly value: T;
  readonly onChoose: (value: T) => void;
}): JSX.Element {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.choices.map(([value, title]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChoose(value)}>
          {title}
        </button>
      ))}
    </div>
  );
}

/** Said where something is to come, if it does not come at once. */
export function Loading(): JSX.Element {
  return (
    <p class="empty loading" role="status">
      Loading
    </p>
  );
}

/** What could not be read, and why; nothing when there is no reason. */
export function Failure({ text }: { readonly text: string }): JSX.Element | null {
  return text === "" ? null : (
    <p class="note bad" role="alert">
      {text}
    </p>
  );
}
