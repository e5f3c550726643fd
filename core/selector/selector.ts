import type { Message } from "../message.ts";
import { compileCondition } from "./compile.ts";
import { parseSelector } from "./parser.ts";
import { type Question, TRUE } from "./truth.ts";

/** A condition on messages in the words of JMS 2.0, section 3.8; `compileSelector` makes it. Never changes. */
export class Selector {
  /** As it was given, prefixes included. */
  readonly text: string;
  private readonly ask: Question;

  constructor(text: string, ask: Question) {
    this.text = text;
    this.ask = ask;
  }

  /** True only where the condition is true: not where it is false, nor where it is unknown. */
  matches(message: Message): boolean {
    return this.ask(message) === TRUE;
  }
}

/** Compiles a selector; one without words matches everything. Throws BrokerError("bad-selector") with the position. */
export function compileSelector(text: string): Selector {
  const expression = parseSelector(text);
  const test = expression === undefined ? TRUE : compileCondition(expression);
  return new Selector(text, typeof test === "function" ? test : () => test);
}
