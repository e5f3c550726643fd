/** Something the broker refused, or nobody was there to refuse it: a sentence for people and an exit code. */
export class ManagementError extends Error {
  readonly exitCode: number;
  /** The status of the reply; undefined when there was none. */
  readonly status: number | undefined;

  constructor(text: string, exitCode: number, status?: number) {
    super(text);
    this.name = "ManagementError";
    this.exitCode = exitCode;
    this.status = status;
  }
}
