import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { POLICY_KEYS } from "../../src/config/policy-keys.ts";
import { ROOT, temporaryFolder } from "../support/broker.ts";

const guide = readFileSync(join(ROOT, "docs/queues.md"), "utf8");
const examples = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = ""]) => yaml);

describe("the guide to queues", () => {
  it.each(examples)("has an example that is a configuration: %s", (yaml) => {
    const directory = temporaryFolder();
    writeFileSync(join(directory, "delos.yaml"), yaml);
    const loaded = loadConfig({ file: "delos.yaml", directory });
    expect(loaded.ok ? loaded.warnings : loaded.problems).toEqual([]);
  });

  it("names every setting of queues that changes what they do", () => {
    const elsewhere = ["persistent", "memory", "slow_subscriber", "slow_subscriber_deadline", "subscriber_buffer"];
    const missing = Object.values(POLICY_KEYS).filter((key) => !guide.includes(key) && !elsewhere.includes(key));
    expect(missing).toEqual([]);
  });

  it("leads to sections that are there", () => {
    const headings = [...guide.matchAll(/^## (.*)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
    const links = [...guide.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor = ""]) => anchor);
    expect(links.filter((anchor) => !headings.includes(anchor))).toEqual([]);
    expect(headings.filter((heading) => !links.includes(heading))).toEqual([]);
  });
});
