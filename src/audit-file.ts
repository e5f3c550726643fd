import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { Clock } from "../core/time/clock.ts";
import type { Log } from "./log.ts";

/** Where an audit log is written to, and how large it may get. */
export interface AuditFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** `path`, `path.1`, `path.2` and so on: so many in all. */
  readonly maxFiles: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A file of lines that makes room by renaming. What comes in one turn is written at once, at its end and without waiting
 * for the disk: the last lines before an end of the process are not lost, those before an end of the machine may be.
 */
export class AuditFile {
  readonly #options: AuditFileOptions;
  #descriptor: number | undefined;
  #size: number;
  #lines: string[] = [];

  /** Throws when the file cannot be opened. */
  constructor(options: AuditFileOptions) {
    this.#options = options;
    const { path } = options;
    try {
      // Who may read it learns who uses the broker.
      this.#descriptor = openSync(path, "a", 0o600);
      this.#size = fstatSync(this.#descriptor).size;
    } catch (error) {
      throw new Error(`audit.file: ${path} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }

  append(line: string): void {
    if (this.#lines.push(line) === 1) this.#options.clock.endOfTurn(() => this.#flush());
  }

  close(): void {
    this.#flush();
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #flush(): void {
    const lines = this.#lines;
    if (lines.length === 0 || this.#descriptor === undefined) return;
    this.#lines = [];
    try {
      const bytes = Buffer.from(lines.join(""));
      if (this.#size > 0 && this.#size + bytes.length > this.#options.maxBytes) this.#rotate();
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
      this.#size += bytes.length;
    } catch (error) {
      const { log, path } = this.#options;
      log.error({ file: path, lost: lines.length, err: error }, "the audit log could not be written (audit.file)");
    }
  }

  #rotate(): void {
    const { path, maxFiles } = this.#options;
    const numbered = (number: number): string => (number === 0 ? path : `${path}.${number}`);
    rmSync(numbered(maxFiles - 1), { force: true });
    for (let number = maxFiles - 2; number >= 0; number--) renameIfThere(numbered(number), numbered(number + 1));
    const fresh = openSync(path, "a", 0o600);
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = fresh;
    this.#size = 0;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
