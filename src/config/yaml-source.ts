import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from "yaml";
import type { Given, GivenEntry, Origin, Problem } from "./given.ts";

const DEEPEST = 16;
/** Aliases that lead to aliases can make a few lines very much. */
const MOST_VALUES = 50_000;

/** What a YAML text says, or all that is wrong with its syntax. */
export interface YamlSource {
  /** Undefined when the text is empty or has problems. */
  readonly given: Given | undefined;
  readonly problems: readonly Problem[];
}

/** Reads a YAML file's text; every problem has its line and column. */
export function readYaml(text: string, file: string): YamlSource {
  return read(text, (line, column) => ({ kind: "file", file, line, column }));
}

/** Reads a YAML value from one line, as in `--set`: all of it has the one origin. */
export function readInlineYaml(text: string, origin: Origin): YamlSource {
  return read(text, () => origin);
}

function read(text: string, originAt: (line: number, column: number) => Origin): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return originAt(line, col);
  };
  const problems: Problem[] = [];
  let lost = false;
  for (const error of [...document.errors, ...document.warnings]) {
    // Once the parser has lost its place, every word after it is unexpected.
    if (error.code === "UNEXPECTED_TOKEN" && lost) continue;
    lost ||= error.code === "UNEXPECTED_TOKEN";
    problems.push({ origin: at(error.pos[0]), text: syntaxText(error, text) });
  }
  const given = problems.length > 0 ? undefined : new Walk(document, at, problems).convert(document.contents, 0, 0);
  return { given: problems.length > 0 ? undefined : given, problems };
}

/** Takes the nodes of a document for plain data with origins. */
class Walk {
  private readonly document: Document.Parsed;
  private readonly at: (offset: number) => Origin;
  private readonly problems: Problem[];
  private values = 0;

  constructor(document: Document.Parsed, at: (offset: number) => Origin, problems: Problem[]) {
    this.document = document;
    this.at = at;
    this.problems = problems;
  }

  convert(node: unknown, offset: number, depth: number): Given {
    if (++this.values > MOST_VALUES) {
      if (this.values === MOST_VALUES + 1) {
        this.problems.push({
          origin: this.at(offset),
          text: `more than ${MOST_VALUES} values, those of aliases counted each time`,
        });
      }
      return { kind: "scalar", value: null, origin: this.at(offset) };
    }
    if (isAlias(node)) return this.convertAlias(node.resolve(this.document), node.range?.[0] ?? offset, depth);
    if (isMap(node)) return this.convertMap(node.items, node.range?.[0] ?? offset, depth);
    if (isSeq(node)) {
      const start = node.range?.[0] ?? offset;
      this.refuseDeep(start, depth);
      const items = depth > DEEPEST ? [] : node.items.map((item) => this.convert(item, start, depth + 1));
      return { kind: "list", items, origin: this.at(start) };
    }
    if (isScalar(node)) return { kind: "scalar", value: node.value, origin: this.at(node.range?.[0] ?? offset) };
    return { kind: "scalar", value: null, origin: this.at(offset) };
  }

  private convertAlias(target: unknown, offset: number, depth: number): Given {
    if (target === undefined) {
      this.problems.push({
        origin: this.at(offset),
        text: "an alias that refers to nothing above it; text that starts with * must be in quotes",
      });
      return { kind: "scalar", value: null, origin: this.at(offset) };
    }
    return this.convert(target, offset, depth + 1);
  }

  private convertMap(items: readonly { key: unknown; value: unknown }[], start: number, depth: number): Given {
    this.refuseDeep(start, depth);
    const entries: GivenEntry[] = [];
    for (const { key, value } of depth > DEEPEST ? [] : items) {
      const keyOffset = isScalar(key) ? (key.range?.[0] ?? start) : start;
      if (!isScalar(key)) {
        this.problems.push({ origin: this.at(keyOffset), text: "a key must be a plain word" });
        continue;
      }
      const name = key.source ?? String(key.value);
      entries.push({ key: name, keyOrigin: this.at(keyOffset), value: this.convert(value, keyOffset, depth + 1) });
    }
    return { kind: "map", entries, origin: this.at(start) };
  }

  /** An alias inside its own anchor never ends. */
  private refuseDeep(offset: number, depth: number): void {
    if (depth > DEEPEST)
      this.problems.push({ origin: this.at(offset), text: `nested more than ${DEEPEST} levels deep` });
  }
}

function syntaxText(error: YAMLError, text: string): string {
  switch (error.code) {
    case "DUPLICATE_KEY":
      return `key "${/^[^\s:]+/.exec(text.slice(error.pos[0]))?.[0] ?? ""}" is there twice in the same section`;
    case "MULTIPLE_DOCS":
      return "a second document starts here; a configuration is one document";
    case "TAB_AS_INDENT":
      return "a tab is used to indent; YAML wants spaces";
    case "TAG_RESOLVE_FAILED":
      return "a tag that is not known; text that starts with ! must be in quotes";
    case "UNEXPECTED_TOKEN":
      // The parser's own words show what it found, which may be a secret.
      return "not valid YAML from here on; look for wrong indentation or an open quote or bracket above";
    default:
      return `not valid YAML: ${error.message.split("\n")[0]}`;
  }
}
