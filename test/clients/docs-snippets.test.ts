import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { ROOT, startBroker, temporaryFolder } from "../support/broker.ts";
import { runs } from "./program.ts";

const FOLDER = join(ROOT, "docs/protocols");
const PORTS = /\b(61613|1883|5672)\b/g;

/** How the snippets of a language are run, and what they need; Java's libraries are no packages of Debian. */
const LANGUAGES: Readonly<Record<string, { readonly command: string; readonly file: string }>> = {
  php: { command: "/usr/bin/php", file: "snippet.php" },
  python: { command: "/usr/bin/python3", file: "snippet.py" },
  js: { command: process.execPath, file: "snippet.mjs" },
  sh: { command: "/bin/sh", file: "snippet.sh" },
};

interface Snippet {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(FOLDER, page), "utf8");
  return Array.from(text.matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, language = "", code = ""]) => ({
    page,
    language,
    text: code,
  }));
}

/** Whether the library is there that a snippet uses. */
function runnable({ language, text }: Snippet): boolean {
  if (language === "php") {
    const probe = text.includes("PhpAmqpLib")
      ? "exit((@include 'PhpAmqpLib/autoload.php') ? 0 : 1);"
      : "exit(extension_loaded('stomp') ? 0 : 1);";
    return runs("/usr/bin/php", ["-r", probe]);
  }
  if (language === "python") {
    const names = Array.from(
      text.matchAll(/^(?:import|from) ([\w.]+)(?:, (\w+))?/gm),
      ([, first, second]) => second ?? first,
    );
    return runs("/usr/bin/python3", ["-c", `import ${names.join(", ")}`]);
  }
  return language !== "sh" || spawnSync("mosquitto_pub", ["--help"]).error === undefined;
}

const snippets = readdirSync(FOLDER).flatMap(snippetsOf);

describe("the clients in docs/protocols", () => {
  it("are there for every protocol", () => {
    expect(new Set(snippets.map(({ page }) => page))).toEqual(
      new Set(["stomp.md", "mqtt.md", "amqp091.md", "amqp10.md"]),
    );
    expect(new Set(snippets.map(({ language }) => language))).toEqual(new Set(["php", "python", "js", "sh", "java"]));
  });

  for (const snippet of snippets) {
    const language = LANGUAGES[snippet.language];
    if (language === undefined) continue;
    it.skipIf(!runnable(snippet))(
      `of ${snippet.page} in ${snippet.language} send and receive as they stand`,
      async () => {
        const broker = await startBroker([
          "security.users.alice.password=secret",
          "security.guest.enabled=false",
          "listeners.stomp.protocols=[]",
        ]);
        // Where the packages of this repository are found.
        const folder = snippet.language === "js" ? join(ROOT, "node_modules/.cache") : temporaryFolder();
        const file = join(folder, `${snippet.page}-${language.file}`);
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, snippet.text.replace(PORTS, String(broker.port)));
        onTestFinished(() => rmSync(file, { force: true }));
        const { stdout } = await promisify(execFile)(language.command, [file], { timeout: 25_000 });
        expect(stdout.trim()).toBe("Hello");
      },
    );
  }
});
