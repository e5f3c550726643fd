import { Cron } from "croner";
import type { CronParser } from "../core/schedule/cron.ts";

/** Cron expressions of five fields, or a nickname such as `@daily`, in the local time of this process. */
export const parseCron: CronParser = (expression) => {
  const fields = expression.trim().split(/\s+/);
  // The library would also take a date, for one run.
  if (fields.length !== 5 && !/^@[a-z]+$/.test(expression)) {
    const found = fields[0] === "" ? "no fields" : `${fields.length} fields`;
    throw new Error(
      `The cron expression "${expression}" has ${found}, expected five: minute, hour, day of month, month, day of week`,
    );
  }
  try {
    const cron = new Cron(fields.join(" "), { mode: "5-part", paused: true });
    return { next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() };
  } catch (cause) {
    const why = (cause instanceof Error ? cause.message : String(cause)).replace(/^CronPattern: /, "");
    throw new Error(`The cron expression "${expression}" cannot be read: ${why}`, { cause });
  }
};
