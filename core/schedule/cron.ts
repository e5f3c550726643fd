/** The times that a cron expression names. */
export interface CronTimes {
  /** The first of them after a time, both in milliseconds since 1970; undefined if there is none any more. */
  next(afterMs: number): number | undefined;
}

/**
 * Reads five fields as in crontab(5), meant in the broker's local time. Throws an Error with a sentence that says what is
 * wrong with the expression.
 */
export type CronParser = (expression: string) => CronTimes;
