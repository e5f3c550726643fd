import { Gate } from "./memory/gate.ts";

/** What may run short for the whole broker. */
export const ALARMS = ["memory", "disk"] as const;

/** What may run short for the whole broker. */
export type AlarmName = (typeof ALARMS)[number];

/** Something runs short. */
export interface Alarm {
  readonly name: AlarmName;
  /** What was found, what is needed and which setting says so: for operators, and for whoever has to wait. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** As publishers are told of it. */
const SUBJECTS: Readonly<Record<AlarmName, string>> = {
  memory: "the broker, which is short of memory (alarms.memory)",
  disk: "the broker, which is short of room on its disk (alarms.disk_free)",
};

/** What is raised keeps publishers waiting; consumers go on. Whoever measures raises and clears. */
export class Alarms {
  /** Where publishers wait; undefined while nothing is raised. */
  gate: Gate | undefined = undefined;
  private readonly gates: Readonly<Record<AlarmName, Gate>>;
  private readonly raised = new Map<AlarmName, Alarm>();

  private readonly changed: () => void;

  /** `later` is that of gates; `changed` is told when there is another gate. */
  constructor(later: (task: () => void) => void, changed: () => void) {
    this.changed = changed;
    this.gates = { memory: new Gate(SUBJECTS.memory, later), disk: new Gate(SUBJECTS.disk, later) };
  }

  /** The oldest one first. */
  get active(): readonly Alarm[] {
    return [...this.raised.values()];
  }

  /** Publishers waiting. */
  get waiting(): number {
    return ALARMS.reduce((sum, name) => sum + this.gates[name].waiting, 0);
  }

  /** Returns false if it was raised before: then only its reason is a new one. */
  raise(name: AlarmName, reason: string, now: number): boolean {
    const known = this.raised.get(name);
    this.raised.set(name, { name, reason, since: known?.since ?? now });
    this.gates[name].close();
    this.gate ??= this.gates[name];
    this.changed();
    return known === undefined;
  }

  /** Returns false if it was not raised. Who waited goes on, or waits for another one. */
  clear(name: AlarmName): boolean {
    if (!this.raised.delete(name)) return false;
    const [next] = this.raised.keys();
    this.gate = next === undefined ? undefined : this.gates[next];
    this.changed();
    this.gates[name].open();
    return true;
  }
}
