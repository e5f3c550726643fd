const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The last moment that a date can say, in milliseconds since 1970. */
export const LAST_MOMENT = 8.64e15;

/** A name within a sentence, which it cannot turn round, whatever direction it is written in. */
export function named(name: string): string {
  return `\u2068${name}\u2069`;
}

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return COUNT.format(value);
}

/** A number in few characters: 1.2M. */
export function short(value: number): string {
  return Math.abs(value) < 1000 ? COUNT.format(value) : SHORT.format(value);
}

/** Bytes in the unit that fits. */
export function bytes(value: number): string {
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit++;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : 1;
  return `${rest.toFixed(digits)} ${UNITS[unit]}`;
}

/** A length of time in its two largest units. */
export function span(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(ms < 10 * SECOND ? 1 : 0)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

/** A moment, given in milliseconds since 1970, as the reader writes it. */
export function moment(at: number): string {
  if (at > LAST_MOMENT) return "in the far future";
  return at <= 0 ? "never" : MOMENT.format(at);
}

/** A moment in few characters: the time alone if it is of today. */
export function clock(at: number): string {
  const given = new Date(at);
  const isToday = given.toDateString() === new Date().toDateString();
  return isToday ? TIME.format(given) : moment(at);
}

/** How long ago, or in how long, a moment is. */
export function ago(at: number, now = Date.now()): string {
  if (at <= 0 || at > LAST_MOMENT) return moment(at);
  const gone = now - at;
  if (Math.abs(gone) < SECOND) return "now";
  return gone > 0 ? `${span(gone)} ago` : `in ${span(-gone)}`;
}
