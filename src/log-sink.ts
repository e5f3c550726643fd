/*
 * Where the lines of the log go: a file descriptor that may be full, slow, stalled or gone, none of which may hold up or end
 * the broker.
 *
 *     line -> written at once -----------------------> done
 *               \-> no room now: waits, at most so many bytes -> written later
 *                     \-> too many wait, or it cannot be written: lost, counted, and told once there is room again
 */
import { constants, openSync, writeSync } from "node:fs";

/** Bytes of lines that wait. */
const MOST_WAITING = 4 * 1024 * 1024;
const RETRY_MS = 50;
/** What waits at the end of the process has this long. */
const PATIENCE_MS = 1000;
const PAUSE_MS = 10;

/** Writes lines to a file descriptor, in order and at once, or else later or never. */
export class LogSink {
  private readonly fd: number;
  /** How many lines were lost, once there is room again. */
  lost: (lines: number) => void = () => {};
  private waiting: Buffer[] = [];
  private waitingBytes = 0;
  private lostLines = 0;
  private works = true;
  private telling = false;
  private gone = false;
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(fd: number) {
    this.fd = nonBlocking(fd) ?? fd;
  }

  write(line: string): void {
    if (this.gone) return;
    const bytes = Buffer.from(line);
    if (this.waitingBytes + bytes.length > MOST_WAITING) {
      this.lostLines++;
      return;
    }
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.timer === undefined) this.pump();
  }

  /** Writes what waits, as far as that is possible within a moment; before an exit. */
  flush(): void {
    const end = Date.now() + PATIENCE_MS;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      this.pump();
      if (this.waiting.length === 0 || Date.now() > end) return;
      Atomics.wait(pause, 0, 0, PAUSE_MS);
    }
  }

  private pump(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (;;) {
      const [next] = this.waiting;
      if (next === undefined) break;
      const written = this.writeSome(next);
      if (written === "later") {
        this.timer = setTimeout(() => this.pump(), RETRY_MS);
        this.timer.unref();
        return;
      }
      this.waitingBytes -= written;
      if (written < next.length) this.waiting[0] = next.subarray(written);
      else this.waiting.shift();
    }
    this.tellLost();
  }

  /** How many bytes were written, or can never be. */
  private writeSome(bytes: Buffer): number | "later" {
    try {
      const written = writeSync(this.fd, bytes);
      this.works = true;
      return written;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EAGAIN" || code === "EBUSY") return "later";
      // Whoever read the log is gone.
      if (code === "EPIPE") this.gone = true;
      this.works = false;
      this.lostLines++;
      return bytes.length;
    }
  }

  private tellLost(): void {
    const lines = this.lostLines;
    if (lines === 0 || !this.works || this.telling) return;
    this.telling = true;
    this.lostLines = 0;
    this.lost(lines);
    this.telling = false;
    // The line that says so was lost itself.
    if (this.lostLines > 0) this.lostLines = lines;
  }
}

/** The same file or pipe, opened anew so that nobody ever waits for it; undefined where that is not possible. */
function nonBlocking(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    // A socket (a service manager's log), or another system than Linux.
    return undefined;
  }
}
