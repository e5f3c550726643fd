import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
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

/** What terminals and readers of lines take for a command or the end of a line, and JSON does not escape. */
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g;

/**
 * A file of lines that makes room by renaming. What comes in one turn is written at once, at its end and without waiting
 * for the disk: the last lines before an end of the process are not lost, those before an end of the machine may be.
 */
export class AuditFile {
  readonly #options: AuditFileOptions;
  #descriptor: number | undefined;
  #size: number;
  /** The last line in the file is not whole: there was no room for it, or the machine ended. */
  #torn: boolean;
  #lines: string[] = [];

  /** Throws when the file cannot be opened. */
  constructor(options: AuditFileOptions) {
    this.#options = options;
    const { path } = options;
    try {
      // Who may read it learns who uses the broker.
      this.#descriptor = openSync(path, "a+", 0o600);
      this.#size = fstatSync(this.#descriptor).size;
      this.#torn = isTorn(this.#descriptor, this.#size);
    } catch (error) {
      throw new Error(`audit.file: ${path} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }

  append(entry: object): void {
    const line = `${JSON.stringify(entry).replace(CONTROLS, escaped)}\n`;
    if (this.#lines.push(line) === 1) this.#options.clock.endOfTurn(() => this.#flush());
  }

  close(): void {
    this.#flush();
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #flush(): void {
    const lines = this.#lines;
    const { log, path, maxBytes } = this.#options;
    if (lines.length === 0 || this.#descriptor === undefined) return;
    this.#lines = [];
    const bytes = Buffer.from(`${this.#torn ? "\n" : ""}${lines.join("")}`);
    let descriptor = this.#descriptor;
    if (this.#size > 0 && this.#size + bytes.length > maxBytes) descriptor = this.#rotate(descriptor);
    try {
      let written = 0;
      while (written < bytes.length) {
        const more = writeSync(descriptor, bytes, written);
        written += more;
        this.#size += more;
        this.#torn = written < bytes.length;
      }
    } catch (error) {
      log.error({ file: path, lost: lines.length, err: error }, "the audit log could not be written (audit.file)");
    }
  }

  /** Puts an empty file in the place of the full one. Where that fails it grows on: what is in it is worth more than room. */
  #rotate(full: number): number {
    const { path, maxFiles, log } = this.#options;
    const numbered = (number: number): string => (number === 0 ? path : `${path}.${number}`);
    let fresh: number | undefined;
    try {
      // Before anything is renamed: without a descriptor left, each try would push one more of the old files out.
      rmSync(`${path}.next`, { force: true });
      fresh = openSync(`${path}.next`, "wx", 0o600);
      rmSync(numbered(maxFiles - 1), { force: true });
      for (let number = maxFiles - 2; number >= 0; number--) renameIfThere(numbered(number), numbered(number + 1));
      renameSync(`${path}.next`, path);
    } catch (error) {
      if (fresh !== undefined) closeSync(fresh);
      log.error({ file: path, err: error }, "the audit log is full, and no other file could be begun (audit.file)");
      return full;
    }
    closeSync(full);
    this.#descriptor = fresh;
    this.#size = 0;
    this.#torn = false;
    return fresh;
  }
}

function isTorn(descriptor: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last.toString() !== "\n";
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
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
