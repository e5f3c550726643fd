import { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";

interface Deadline {
  /** Milliseconds since 1970; Infinity: it was called off. */
  due: number;
  /** When the agenda comes to it: never later than `due`. */
  appointed: number;
}

/**
 * A time for each of many keys, which may be moved or called off at any time: an agenda forgets nothing before its time,
 * so each key has one appointment there, however often it is moved later.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly agenda: Agenda<{ readonly key: string; readonly time: number }>;
  private readonly byKey = new Map<string, Deadline>();

  /** `due` is called once for each key whose time has come. */
  constructor(clock: Clock, due: (key: string) => void) {
    this.clock = clock;
    this.agenda = new Agenda(
      clock,
      ({ key, time }) => {
        if (this.comesDue(key, time)) due(key);
      },
      () => {},
    );
  }

  /** Sets the time of a key in place of any other. */
  set(key: string, time: number): void {
    if (time === Number.POSITIVE_INFINITY) {
      this.delete(key);
      return;
    }
    const there = this.byKey.get(key);
    if (there !== undefined) there.due = time;
    if (there !== undefined && there.appointed <= time) return;
    this.byKey.set(key, { due: time, appointed: time });
    this.agenda.add(time, { key, time });
  }

  /** Calls off that of a key. */
  delete(key: string): void {
    const there = this.byKey.get(key);
    if (there !== undefined) there.due = Number.POSITIVE_INFINITY;
  }

  /** Forgets all of them. */
  clear(): void {
    this.agenda.clear();
    this.byKey.clear();
  }

  private comesDue(key: string, time: number): boolean {
    const deadline = this.byKey.get(key);
    // An earlier appointment was made for it since.
    if (deadline === undefined || deadline.appointed !== time) return false;
    this.byKey.delete(key);
    if (deadline.due === Number.POSITIVE_INFINITY) return false;
    if (deadline.due <= this.clock.now()) return true;
    this.set(key, deadline.due);
    return false;
  }
}
