/*
 * The names that a rule is about: an `id` with wildcards and placeholders, or an expression.
 *
 *     orders.**         queues and topics by their levels, in canonical spelling
 *     mqtt/*            what is no address, by its name; with a wildcard in it, what is between "/" and "." is a level
 *     clients.%c.**     `%c` is the client's id, `%u` the user's name: whatever is in them, they stand for themselves
 */
import { unescape } from "../addresses/escape.ts";
import { LevelExpression, type LevelPart, maxStates } from "../addresses/level-expression.ts";
import { matchLevels, type PatternLevel } from "../addresses/pattern.ts";
import { BrokerError } from "../errors.ts";
import { canonical } from "../addresses/spelling.ts";
import type { Subject } from "./access.ts";
import { covers, meets } from "./coverage.ts";

/** What stands for a placeholder until it is known: characters that no text may have. */
const USER = "\uFDD0";
const CLIENT = "\uFDD1";
const MARKS = /[\uFDD0\uFDD1]/;
const EACH_MARK = /[\uFDD0\uFDD1]/g;

/** The most characters of a name that rules are asked about; nobody may do anything to what has a longer one. */
export const LONGEST_NAME = 4096;

/** Which names a rule is about, for one subject. */
export interface NameTest {
  /** Whether it is about this one; `levels` are those of an address, undefined for what is none. */
  matches(name: string, levels: readonly string[] | undefined): boolean;
  /** Whether it is certainly about all that a pattern for queues or topics matches. */
  covers(levels: readonly PatternLevel[]): boolean;
  /** Whether it may be about something that a pattern for queues or topics matches. */
  meets(levels: readonly PatternLevel[]): boolean;
}

/** Which names a rule is about. */
export interface ResourceNames {
  /** For a subject; undefined when that has not what a placeholder stands for. */
  of(subject: Subject): NameTest | undefined;
}

/** Reads an `id`. Throws BrokerError("bad-address"). */
export function namesLike(id: string): ResourceNames {
  if (MARKS.test(id)) throw new BrokerError("bad-address", "the id has a character that no text may have");
  // "%c0" and the like are escapes.
  const marked = id.replaceAll("%u", USER).replaceAll(/%c(?![0-9A-Fa-f])/g, CLIENT);
  const address = canonical.parsePattern("queue", marked).levels;
  const wild = canonical.parsePattern("queue", slashed(marked));
  const name = wild.address === undefined ? undefined : unescape(marked);
  const names = new LevelNames({ address, name, levels: wild.levels.flatMap(separated) });
  if (!MARKS.test(marked)) return { of: () => names };
  for (const level of [...address, ...wild.levels]) checkMarks(level);
  return {
    of: ({ user = "", clientId = "" }) => {
      if ((marked.includes(USER) && user === "") || (marked.includes(CLIENT) && clientId === "")) return undefined;
      // No name that has it in it is asked about.
      if (user.length > LONGEST_NAME || clientId.length > LONGEST_NAME) return undefined;
      const fill = (text: string): string => text.replace(EACH_MARK, (mark) => (mark === USER ? user : clientId));
      return new LevelNames({
        address: address.map((level) => filled(level, fill)),
        name: name === undefined ? undefined : fill(name),
        levels: wild.levels.map((level) => filled(level, fill)).flatMap(separated),
      });
    },
  };
}

/** Reads an `id_regex`, which has to match the whole name. Throws BrokerError("bad-address"). */
export function namesMatching(expression: string): ResourceNames {
  const names = new ExpressionNames(new LevelExpression([{ regex: expression }]));
  return { of: () => names };
}

class LevelNames implements NameTest {
  private readonly address: readonly PatternLevel[];
  private readonly name: string | undefined;
  private readonly levels: readonly PatternLevel[];

  /** `address` is for queues and topics; `name`, or `levels` if that has a wildcard, for all others. */
  constructor(options: {
    readonly address: readonly PatternLevel[];
    readonly name: string | undefined;
    readonly levels: readonly PatternLevel[];
  }) {
    this.address = options.address;
    this.name = options.name;
    this.levels = options.levels;
  }

  matches(name: string, levels: readonly string[] | undefined): boolean {
    if (levels !== undefined) return matchLevels(this.address, levels);
    return this.name === undefined ? matchLevels(this.levels, name.split(SEPARATORS)) : this.name === name;
  }

  covers(levels: readonly PatternLevel[]): boolean {
    return covers(this.address, levels);
  }

  meets(levels: readonly PatternLevel[]): boolean {
    return meets(this.address, levels);
  }
}

class ExpressionNames implements NameTest {
  private readonly expression: LevelExpression;

  constructor(expression: LevelExpression) {
    this.expression = expression;
  }

  matches(name: string): boolean {
    return this.expression.test(name);
  }

  /** Nobody can tell of an expression what it matches of a wildcard: it allows none, and may deny a part of each. */
  covers(): boolean {
    return false;
  }

  meets(): boolean {
    return true;
  }
}

/** What is between the levels of a name that is no address. */
const SEPARATORS = /[/.]/;

/** With dots for the slashes; what is in braces is no level. */
function slashed(id: string): string {
  return id.replaceAll(/\/(?![^{}]*\})/g, ".");
}

/** What a placeholder stood for may have several levels of a name that is no address. */
function separated(level: PatternLevel): PatternLevel[] {
  return typeof level === "string" ? level.split(SEPARATORS) : [level];
}

function checkMarks(level: PatternLevel): void {
  if (typeof level === "string" || !("regex" in level)) return;
  if (level.regex.parts.some((part) => typeof part !== "string" && "regex" in part && MARKS.test(part.regex))) {
    throw new BrokerError(
      "bad-address",
      `the placeholder in the expression ${level.text} would stand for nothing there`,
    );
  }
}

function filled(level: PatternLevel, fill: (text: string) => string): PatternLevel {
  if (typeof level === "string") return fill(level);
  if (!("regex" in level)) return level;
  const parts = level.regex.parts.map((part): LevelPart => (typeof part === "string" ? fill(part) : part));
  // What stands for a placeholder must not make it too large: a rule that denies would have nothing to say.
  const literals = parts.reduce((sum, part) => sum + (typeof part === "string" ? part.length : 0), 0);
  const regex = new LevelExpression(parts, maxStates + literals);
  return { regex, text: regex.text };
}
