import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";

/** What a file means; read again when it changes. */
export class WatchedFile<T> {
  readonly path: string;
  private readonly parse: (text: string) => T;
  private current: T;
  private signature: string | undefined = undefined;
  private digest = "";
  private complained: string | undefined = undefined;

  /** Throws an Error with one sentence when it cannot be read, or `parse` throws one. */
  constructor(path: string, parse: (text: string) => T) {
    this.path = path;
    this.parse = parse;
    this.current = this.understand(() => readFileSync(path, "utf8"));
  }

  get value(): T {
    return this.current;
  }

  /**
   * Looks whether it has changed, and reads it then; true when it means something else now. What cannot be read is told to
   * `complain` once, and what the file meant before stays.
   */
  async refresh(complain: (sentence: string) => void): Promise<boolean> {
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      const signature = `${mtimeMs} ${size} ${ino}`;
      if (signature === this.signature) return false;
      this.signature = signature;
      const text = await readFile(this.path, "utf8");
      const before = this.digest;
      this.current = this.understand(() => text);
      this.complained = undefined;
      return this.digest !== before;
    } catch (error) {
      const sentence = sentenceOf(error, this.path);
      if (sentence !== this.complained) complain(sentence);
      this.complained = sentence;
      return false;
    }
  }

  private understand(read: () => string): T {
    try {
      const text = read();
      const value = this.parse(text);
      this.digest = createHash("sha256").update(text).digest("base64");
      return value;
    } catch (error) {
      throw new Error(sentenceOf(error, this.path), { cause: error });
    }
  }
}

function sentenceOf(error: unknown, path: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return `there is no file ${path}`;
  if (code === "EACCES") return `${path} may not be read by this user`;
  return text.startsWith(path) ? text : `${path}: ${text}`;
}
