import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

/** Somebody was asked and went away instead, by Ctrl-C or Ctrl-D. */
export class Unanswered extends Error {}

/** A password: asked for and not shown on a terminal, the first line of standard input otherwise; "" if there is none. */
export function readPassword(question: string): Promise<string> {
  return process.stdin.isTTY ? ask(question, false) : firstLine();
}

/** Whether somebody at a terminal agrees; undefined when nobody is there to be asked. */
export async function confirms(question: string): Promise<boolean | undefined> {
  if (!process.stdin.isTTY) return undefined;
  return /^y(es)?$/i.test((await ask(`${question} [y/N] `, true)).trim());
}

async function ask(question: string, shown: boolean): Promise<string> {
  // What readline would echo goes nowhere.
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: shown ? process.stderr : silence, terminal: true });
  // From here on the terminal echoes nothing by itself: nobody is asked before. What is shown readline shows, as it clears the line.
  if (!shown) process.stderr.write(question);
  try {
    return await reader.question(shown ? question : "");
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw new Unanswered("there was no answer");
    throw error;
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}

async function firstLine(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8").split(/\r?\n/, 1)[0] ?? "";
}
