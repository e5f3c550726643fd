import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { ROOT, startBroker, temporaryFolder } from "../support/broker.ts";
import { eventually } from "../support/eventually.ts";
import { BROWSER_MISSING, usePages } from "./page.ts";
import { runs } from "./program.ts";

const FOLDER = join(ROOT, "docs/protocols");
const PORTS = /\b(61613|1883|5672)\b/g;

/** How the snippets of a language are run. */
const LANGUAGES: Readonly<Record<string, { readonly command: string; readonly file: string }>> = {
  php: { command: "/usr/bin/php", file: "snippet.php" },
  python: { command: "/usr/bin/python3", file: "snippet.py" },
  js: { command: process.execPath, file: "snippet.mjs" },
  sh: { command: "/bin/sh", file: "snippet.sh" },
  java: { command: "/usr/bin/java", file: "Hello.java" },
};
/** Where Debian's packages of Java have their libraries; QPID_JMS names a folder with Qpid JMS, which is no package. */
const JARS = "/usr/share/java";
const JAVA_LIBRARIES: readonly { readonly imports: string; readonly name: string; readonly path: string }[] = [
  { imports: "com.rabbitmq", name: "librabbitmq-client-java", path: join(JARS, "amqp-client.jar") },
  { imports: "org.fusesource.mqtt", name: "libmqtt-client-java", path: join(JARS, "mqtt-client.jar") },
  { imports: "org.apache.qpid", name: "Qpid JMS (in the folder QPID_JMS)", path: process.env["QPID_JMS"] ?? "" },
];

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

/** What is not there that a snippet needs; undefined when all is. */
function missing({ language, text }: Snippet): string | undefined {
  if (language === "php") {
    const [probe, name] = text.includes("PhpAmqpLib")
      ? ["exit((@include 'PhpAmqpLib/autoload.php') ? 0 : 1);", "php-amqplib"]
      : ["exit(extension_loaded('stomp') ? 0 : 1);", "php-stomp"];
    return runs("/usr/bin/php", ["-r", probe]) ? undefined : name;
  }
  if (language === "python") {
    const names = Array.from(
      text.matchAll(/^(?:import|from) ([\w.]+)(?:, (\w+))?/gm),
      ([, first, second]) => second ?? first,
    ).join(", ");
    return runs("/usr/bin/python3", ["-c", `import ${names}`]) ? undefined : `Python's ${names}`;
  }
  if (language === "java") {
    const library = JAVA_LIBRARIES.find(({ imports }) => text.includes(`import ${imports}.`));
    if (library === undefined || !existsSync(library.path)) return library?.name ?? "a library of Java";
    return runs("/usr/bin/java", ["--version"]) ? undefined : "Java";
  }
  return language === "sh" && spawnSync("mosquitto_pub", ["--help"]).error !== undefined
    ? "mosquitto-clients"
    : undefined;
}

function argumentsOf({ language }: Snippet, file: string): string[] {
  const folders = [JARS, ...(process.env["QPID_JMS"] === undefined ? [] : [process.env["QPID_JMS"]])];
  return language === "java" ? ["-cp", folders.map((folder) => join(folder, "*")).join(":"), file] : [file];
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
    const lacking = missing(snippet);
    it.skipIf(lacking !== undefined)(
      `of ${snippet.page} in ${snippet.language} send and receive as they stand${lacking === undefined ? "" : `: not tried, as ${lacking} is not installed`}`,
      { timeout: 60_000 },
      async () => {
        const broker = await startBroker([
          "security.users.alice.password=secret",
          "security.guest.enabled=false",
          "listeners.stomp.protocols=[]",
        ]);
        // Where the packages of this repository are found.
        const folder = snippet.language === "js" ? join(ROOT, "node_modules/.cache") : temporaryFolder();
        const file = join(folder, `${snippet.page.replace(".", "-")}-${language.file}`);
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, snippet.text.replace(PORTS, String(broker.port)));
        onTestFinished(() => rmSync(file, { force: true }));
        const { stdout } = await promisify(execFile)(language.command, argumentsOf(snippet, file), { timeout: 50_000 });
        expect(stdout.trim()).toBe("Hello");
      },
    );
  }
});

/** Those that the pages promise for browsers: where the library comes from, and what the snippet says otherwise there. */
const IN_PAGES = [
  {
    page: "stomp.md",
    library: "@stomp/stompjs/bundles/stomp.umd.min.js",
    adapted: (text: string) => text.replace('import { Client } from "@stomp/stompjs";', "const { Client } = StompJs;"),
  },
  {
    page: "mqtt.md",
    library: "mqtt/dist/mqtt.min.js",
    adapted: (text: string) => text.replace('import mqtt from "mqtt";', "").replace(/mqtt:\/\/([\d.:]+)/, "ws://$1/"),
  },
] as const;

describe.skipIf(BROWSER_MISSING !== "").each(IN_PAGES)(
  `the client of $page in Chromium${BROWSER_MISSING}`,
  ({ page, library, adapted }) => {
    const pages = usePages(library);

    it("sends and receives as it stands", async () => {
      const snippet = snippets.find((each) => each.page === page && each.language === "js");
      const broker = await startBroker([
        "security.users.alice.password=secret",
        "security.guest.enabled=false",
        "listeners.stomp.protocols=[]",
        `listeners.stomp.websocket.origins=[${pages().origin}]`,
      ]);
      const said: string[] = [];
      const opened = await pages().open();
      opened.on("console", (message) => said.push(message.text()));
      opened.on("pageerror", (error) => said.push(error.message));
      const content = adapted(snippet?.text ?? "").replace(PORTS, String(broker.port));
      expect(content).not.toContain("import ");
      await opened.addScriptTag({ type: "module", content });
      await eventually(() => said.length > 0);
      expect(said).toEqual(["Hello"]);
    });
  },
);
