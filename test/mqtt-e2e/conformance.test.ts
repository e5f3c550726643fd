import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../support/broker.ts";

const FOLDERS = ["test/mqtt", "test/mqtt-e2e"];
const TAG = /(mqtt311 )?\[MQTT-(\d+\.\d+\.\d+-\d+)\]/g;
/** What it is about, statements of 5.0, statements of 3.1.1. */
const ROW = /^\| .+ \|([\d., -]*)\|([\d., -]*)\|$/gm;

/** Statements in the names of tests, each with its version. */
function tested(): Set<string> {
  const found = new Set<string>();
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(ROOT, folder)).filter((file) => file.endsWith(".ts"))) {
      const text = readFileSync(join(ROOT, folder, name), "utf8").replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, "");
      for (const [, old, statement] of text.matchAll(TAG)) {
        found.add(`${old === undefined ? "5.0" : "3.1.1"} ${statement}`);
      }
    }
  }
  return found;
}

/** The same as the document's first part has it. */
function documented(): Set<string> {
  const [text = ""] = readFileSync(join(ROOT, "docs/mqtt-conformance.md"), "utf8").split("## Without a test");
  const found = new Set<string>();
  for (const [, five = "", old = ""] of text.matchAll(ROW)) {
    for (const statement of five.match(/[\d.]+-\d+/g) ?? []) found.add(`5.0 ${statement}`);
    for (const statement of old.match(/[\d.]+-\d+/g) ?? []) found.add(`3.1.1 ${statement}`);
  }
  return found;
}

it("docs/mqtt-conformance.md has every statement that the name of a test has, and no other", () => {
  expect([...documented()].sort()).toEqual([...tested()].sort());
});
