/*
 * The one table of the console. It draws the rows that are on the screen and a few around them, whatever the length of the
 * list, and asks the list for them:
 *
 *     scroll -> first and last place -> List.want -> rows at `place * ROW`
 *
 * One tab stop for all rows: arrows go through them, Enter opens one, Space picks it.
 */
import { type Signal, signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { brief, type Json, number, type Row, rows, text } from "../api/json.ts";
import { filterOf, isSelector, List } from "../api/list.ts";
import { ask, resting } from "../api/request.ts";
import { bytes, count } from "../format.ts";
import { alter, place } from "../route.ts";
import { Icon } from "./icon.tsx";
import { Loading } from "./parts.tsx";
import { Time } from "./time.tsx";
import { attempt, say } from "./toast.tsx";

/** Height of a row in pixels; `--row` in the tokens. */
const ROW = 36;
const AROUND = 12;
const REFRESH_MS = 3000;
const TYPING_MS = 250;
/** Rows that are picked at once. */
const MOST_PICKED = 1000;

/** How the values of a column look. */
type Kind = "text" | "number" | "bytes" | "moment" | "ago" | "yes";

/** One column: a field of the rows, and how it looks. */
export interface Column {
  readonly field: string;
  readonly title: string;
  readonly kind?: Kind;
  /** As in grid-template-columns. */
  readonly width?: string;
  /** False when the broker cannot order by it. */
  readonly ordered?: boolean;
  readonly show?: (row: Row) => ComponentChildren;
}

/** What a table shows, and what can be done with it. */
export interface TableProps {
  /** What the rows are, for who hears the page: "Queues". */
  readonly label: string;
  readonly path: string;
  readonly columns: readonly Column[];
  /** The field that tells rows apart, and that a text typed into the filter is looked for in. */
  readonly name: string;
  /** Fields that are needed besides those of the columns. */
  readonly besides?: readonly string[];
  readonly order?: string;
  /** A selector that all rows are to match, whatever is typed. */
  readonly where?: string;
  readonly href?: (row: Row) => string;
  readonly onOpen?: (row: Row) => void;
  readonly empty?: string;
  readonly actions?: ComponentChildren;
  /** What can be done with rows that are picked; without it none can be. */
  readonly picked?: (names: readonly string[], done: () => void) => ComponentChildren;
  /** Changes when the list is to be read again at once. */
  readonly again?: Signal<number>;
  readonly filtered?: boolean;
}

/** A table of any length. Its filter and its order are in the address of the page. */
export function Table(props: TableProps): JSX.Element {
  const { path, columns, name, besides = [], filtered = true, where = "" } = props;
  const { query } = place.value;
  const typed = query.get("q") ?? "";
  const order = query.get("o") ?? props.order ?? "";
  const fields = [...new Set([name, ...columns.map(({ field }) => field), ...besides])];
  const filter = both(where, filterOf(typed, name));
  const list = useMemo(() => new List({ path, fields, filter, order }), [path, fields.join(","), filter, order]);
  const picks = useMemo(() => signal<ReadonlySet<string>>(new Set()), [path]);
  useEffect(() => {
    const timer = window.setInterval(() => {
      // Who answers slowly is not asked ever more.
      if (!resting() && !list.waiting) void list.refresh();
    }, REFRESH_MS);
    return () => {
      window.clearInterval(timer);
      list.close();
    };
  }, [list]);
  const again = props.again?.value;
  useEffect(() => {
    if (again !== undefined && again > 0) void list.refresh();
  }, [again]);
  const chosen = [...picks.value];
  const done = (): void => {
    picks.value = new Set();
    void list.refresh();
  };
  const pickAll = async (): Promise<void> => {
    if (chosen.length > 0) {
      picks.value = new Set();
      return;
    }
    const found = await ask(path, { query: { f: name, q: filter, o: order, ps: MOST_PICKED } });
    picks.value = new Set(rows(found, "items").map((row) => text(row, name)));
    if (number(found, "total_rows") > MOST_PICKED) say(`Only the first ${count(MOST_PICKED)} are picked`);
  };
  return (
    <section class="card list" aria-label={props.label}>
      <div class="list-bar">
        {filtered && <Filter key={path} label={props.label} typed={typed} name={name} />}
        {chosen.length > 0 ? props.picked?.(chosen, done) : props.actions}
        <span class="count">
          <span role="status">{chosen.length > 0 && `${count(chosen.length)} picked of `}</span>
          {list.total.value === undefined ? "" : `${count(list.total.value)} in all`}
        </span>
      </div>
      {list.failure.value !== "" && (
        <p class="failure" role="alert">
          {list.failure.value}
        </p>
      )}
      <Rows
        list={list}
        picks={props.picked === undefined ? undefined : picks}
        order={order}
        table={props}
        onPickAll={() => void attempt(pickAll, "")}
      />
    </section>
  );
}

interface FilterProps {
  readonly label: string;
  readonly typed: string;
  readonly name: string;
}

function Filter({ label, typed, name }: FilterProps): JSX.Element {
  const timer = useRef(0);
  // What was typed here is for no other list.
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const change = (value: string): void => {
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => alter({ q: value }), TYPING_MS);
  };
  return (
    <div class="search">
      <Icon name="search" />
      <input
        class="input"
        type="search"
        data-filter=""
        aria-label={`Filter: ${label}`}
        placeholder={`Part of the ${name}, or a selector: ${name} LIKE 'a%'`}
        defaultValue={typed}
        spellcheck={false}
        onInput={(event) => change(event.currentTarget.value)}
      />
      {isSelector(typed) && <span class="visually-hidden">This is a selector</span>}
    </div>
  );
}

/** A row as it was drawn. */
interface Drawn {
  readonly list: List;
  readonly row: Row | undefined;
  readonly active: boolean;
  readonly element: JSX.Element;
}

interface RowsProps {
  readonly list: List;
  readonly picks: Signal<ReadonlySet<string>> | undefined;
  readonly order: string;
  readonly table: TableProps;
  readonly onPickAll: () => void;
}

function Rows({ list, picks, order, table, onPickAll }: RowsProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [seen, setSeen] = useState<readonly [number, number]>([0, 30]);
  const [active, setActive] = useState(0);
  const total = list.total.value ?? 0;
  const known = list.version.value > 0;
  const look = (): void => {
    const element = box.current;
    if (element === null) return;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - AROUND);
    const last = Math.ceil((element.scrollTop + element.clientHeight) / ROW) + AROUND;
    setSeen((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    list.want(first, Math.min(last, Math.max(0, (list.total.peek() ?? 1) - 1)));
  };
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    element.scrollTop = 0;
    setActive(0);
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [list]);
  const [first, last] = seen;
  const places = Array.from({ length: Math.max(0, Math.min(last + 1, total) - first) }, (_, index) => first + index);
  const drawn = useDrawn(list, places, active, (at, row) => (
    <RowView
      key={at}
      id={`${id}-${at}`}
      at={at}
      row={row}
      table={table}
      picks={picks}
      active={at === active}
      onActive={() => setActive(at)}
    />
  ));
  const moveTo = (to: number): void => {
    const next = Math.max(0, Math.min(total - 1, to));
    setActive(next);
    reveal(box.current, next);
  };
  const tracks = [...(picks === undefined ? [] : ["28px"]), ...table.columns.map(trackOf)].join(" ");
  return (
    <div
      ref={box}
      class="rows"
      role="grid"
      aria-label={table.label}
      aria-rowcount={total + 1}
      aria-multiselectable={picks === undefined ? undefined : true}
      aria-activedescendant={places.includes(active) ? `${id}-${active}` : undefined}
      tabIndex={0}
      style={{ "--tracks": tracks, "--least": leastOf(table.columns, picks !== undefined) }}
      onScroll={look}
      onKeyDown={(event) => {
        const row = list.row(active);
        if (event.target !== event.currentTarget) return;
        if (event.key === "Enter" && row !== undefined) open(table, row);
        else if (event.key === " " && row !== undefined && picks !== undefined) toggle(picks, text(row, table.name));
        else {
          const to = placeAfter(event.key, active, total, box.current?.clientHeight ?? 0);
          if (to === undefined) return;
          moveTo(to);
        }
        event.preventDefault();
      }}
    >
      <div class="rows-inner">
        <Head table={table} order={order} picks={picks} onPickAll={onPickAll} />
        {!known && list.failure.value === "" && <Loading />}
        {known && total === 0 && <p class="empty">{table.empty ?? "Nothing here"}</p>}
        <div class="rows-space" role="rowgroup" style={{ height: `${total * ROW}px` }}>
          {drawn}
        </div>
      </div>
    </div>
  );
}

/** Rows, of which those that are as they were are not drawn again: scrolling changes few of those on the screen. */
function useDrawn(
  list: List,
  places: readonly number[],
  active: number,
  draw: (at: number, row: Row | undefined) => JSX.Element,
): readonly JSX.Element[] {
  const before = useRef<ReadonlyMap<number, Drawn>>(new Map());
  const now = new Map<number, Drawn>();
  for (const at of places) {
    const row = list.row(at);
    const isActive = at === active;
    const same = before.current.get(at);
    if (same?.list === list && same.row === row && same.active === isActive) now.set(at, same);
    else now.set(at, { list, row, active: isActive, element: draw(at, row) });
  }
  before.current = now;
  return Array.from(now.values(), ({ element }) => element);
}

interface HeadProps {
  readonly table: TableProps;
  readonly order: string;
  readonly picks: Signal<ReadonlySet<string>> | undefined;
  readonly onPickAll: () => void;
}

function Head({ table, order, picks, onPickAll }: HeadProps): JSX.Element {
  return (
    <div class="row head" role="row" aria-rowindex={1}>
      {picks !== undefined && (
        <span role="columnheader" class="pick">
          <input
            type="checkbox"
            aria-label={picks.value.size > 0 ? "Pick none" : "Pick all"}
            checked={picks.value.size > 0}
            onChange={onPickAll}
          />
        </span>
      )}
      {table.columns.map(({ field, title, kind, ordered = true }) => {
        const down = order === `-${field}`;
        const sorted = down ? "descending" : order === field ? "ascending" : "none";
        const next = order === field ? `-${field}` : down || !isNumeric(kind) ? field : `-${field}`;
        return (
          <span key={field} role="columnheader" aria-sort={sorted} class={isNumeric(kind) ? "number" : undefined}>
            {ordered ? (
              <button type="button" onClick={() => alter({ o: next })}>
                {title}
              </button>
            ) : (
              title
            )}
          </span>
        );
      })}
    </div>
  );
}

interface RowViewProps {
  readonly id: string;
  readonly at: number;
  readonly row: Row | undefined;
  readonly table: TableProps;
  readonly picks: Signal<ReadonlySet<string>> | undefined;
  readonly active: boolean;
  readonly onActive: () => void;
}

function RowView({ id, at, row, table, picks, active, onActive }: RowViewProps): JSX.Element {
  const name = text(row, table.name);
  const chosen = picks?.value.has(name) === true;
  const classes = ["row", active ? "active" : "", chosen ? "chosen" : ""].join(" ");
  return (
    <div
      id={id}
      class={classes}
      role="row"
      aria-rowindex={at + 2}
      aria-selected={picks === undefined ? undefined : chosen}
      style={{ transform: `translateY(${at * ROW}px)` }}
      onClick={onActive}
    >
      {picks !== undefined && (
        <span role="gridcell" class="pick">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`Pick ${text(row, table.columns[0]?.field ?? table.name) || name}`}
            checked={chosen}
            disabled={row === undefined}
            onChange={() => toggle(picks, name)}
          />
        </span>
      )}
      {table.columns.map((column, index) => (
        <span key={column.field} role="gridcell" class={isNumeric(column.kind) ? "number" : undefined}>
          {row === undefined ? (
            <span class="skeleton" />
          ) : (
            <Cell row={row} column={column} table={table} first={index === 0} />
          )}
        </span>
      ))}
    </div>
  );
}

interface CellProps {
  readonly row: Row;
  readonly column: Column;
  readonly table: TableProps;
  readonly first: boolean;
}

function Cell({ row, column, table, first }: CellProps): JSX.Element {
  const value = column.show === undefined ? shown(row[column.field], column.kind) : column.show(row);
  if (!first) return row[column.field] === 0 ? <span class="quiet">{value}</span> : <>{value}</>;
  if (table.href !== undefined) {
    return (
      <a href={table.href(row)} tabIndex={-1} title={text(row, column.field)}>
        {value}
      </a>
    );
  }
  if (table.onOpen === undefined) return <>{value}</>;
  return (
    <a
      href={location.hash}
      tabIndex={-1}
      onClick={(event) => {
        event.preventDefault();
        table.onOpen?.(row);
      }}
    >
      {value}
    </a>
  );
}

/** A value as a column of a kind shows it. */
function shown(value: Json, kind: Kind = "text"): ComponentChildren {
  if (kind === "yes") return value === true ? "yes" : "";
  if (typeof value !== "number") return brief(value);
  if (kind === "bytes") return bytes(value);
  if (kind === "moment" || kind === "ago") return <Time at={value} as={kind} />;
  return kind === "number" ? count(value) : String(value);
}

function open({ href, onOpen }: TableProps, row: Row): void {
  if (href !== undefined) location.hash = href(row);
  else onOpen?.(row);
}

function toggle(picks: Signal<ReadonlySet<string>>, name: string): void {
  const next = new Set(picks.value);
  if (!next.delete(name)) next.add(name);
  picks.value = next;
}

function placeAfter(key: string, from: number, total: number, height: number): number | undefined {
  const screen = Math.max(1, Math.floor(height / ROW) - 2);
  if (key === "ArrowDown") return from + 1;
  if (key === "ArrowUp") return from - 1;
  if (key === "PageDown") return from + screen;
  if (key === "PageUp") return from - screen;
  if (key === "Home") return 0;
  return key === "End" ? total - 1 : undefined;
}

function reveal(box: HTMLDivElement | null, at: number): void {
  if (box === null) return;
  const top = at * ROW;
  const room = box.clientHeight - 2 * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top > box.scrollTop + room) box.scrollTop = top - room;
}

function isNumeric(kind: Kind | undefined): boolean {
  return kind === "number" || kind === "bytes";
}

function trackOf({ width, kind }: Column): string {
  return width ?? (isNumeric(kind) ? "minmax(104px, 0.6fr)" : "minmax(110px, 1fr)");
}

/** The width below which a table is scrolled sideways: that of its columns at their smallest. */
function leastOf(columns: readonly Column[], picking: boolean): string {
  const widths = columns.map((column) => Number(/\d+/.exec(trackOf(column))?.[0]));
  return `${widths.reduce((sum, width) => sum + width, picking ? 48 : 16)}px`;
}

function both(one: string, other: string): string {
  return one === "" || other === "" ? one + other : `(${one}) AND (${other})`;
}
