/*
 * RabbitMQ's own command line, as Debian's package rabbitmq-server has it; the server itself is not needed.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/broker.ts";
import { startManagement, type TestManagement } from "../support/management.ts";
import { runs } from "./program.ts";

const COMMAND = "rabbitmqadmin";

/** Runs a command against a broker; what it prints as JSON where it prints a list. */
async function admin(api: TestManagement, ...args: readonly string[]): Promise<string> {
  const { port } = new URL(api.url);
  const options = ["-H", "127.0.0.1", "-P", port, "-u", "admin", "-p", "secret", "-f", "raw_json"];
  const { stdout } = await promisify(execFile)(COMMAND, [...options, ...args], { timeout: 25_000 });
  return stdout.trim();
}

async function list(api: TestManagement, ...args: readonly string[]): Promise<unknown> {
  return JSON.parse(await admin(api, ...args));
}

describe.skipIf(!runs(COMMAND, ["help", "subcommands"]))("rabbitmqadmin", () => {
  it("declares, binds, publishes, gets, purges and deletes", { timeout: 90_000 }, async () => {
    const api = await startManagement();
    expect(await admin(api, "declare", "queue", "name=a b.c", 'arguments={"x-max-length": 5}')).toBe("queue declared");
    expect(await admin(api, "declare", "exchange", "name=ex", "type=topic")).toBe("exchange declared");
    const ends = ["source=ex", "destination=a b.c"];
    expect(await admin(api, "declare", "binding", ...ends, "routing_key=x.#")).toBe("binding declared");
    const said = ["exchange=ex", "payload=hello", 'properties={"delivery_mode": 2, "headers": {"n": 1}}'];
    expect(await admin(api, "publish", "routing_key=x.y", ...said)).toBe("Message published");
    expect(await admin(api, "publish", "routing_key=y", ...said)).toBe("Message published but NOT routed");
    expect(await list(api, "get", "queue=a b.c", "ackmode=ack_requeue_false")).toMatchObject([
      { payload: "hello", exchange: "ex", routing_key: "x.y", properties: { delivery_mode: 2, headers: { n: 1 } } },
    ]);
    await admin(api, "publish", "routing_key=x", ...said);
    expect(await list(api, "list", "queues", "name", "messages")).toEqual([{ name: "a b.c", messages: 1 }]);
    expect(await admin(api, "purge", "queue", "name=a b.c")).toBe("queue purged");
    expect(await admin(api, "delete", "binding", ...ends, "destination_type=queue", "properties_key=x.#")).toBe(
      "binding deleted",
    );
    expect(await list(api, "list", "bindings")).toMatchObject([{ source: "", destination: "a b.c" }]);
    expect(await admin(api, "delete", "queue", "name=a b.c")).toBe("queue deleted");
    expect(await admin(api, "delete", "exchange", "name=ex")).toBe("exchange deleted");
    expect(await list(api, "list", "queues")).toEqual([]);
  });

  it("lists everything it can list", { timeout: 90_000 }, async () => {
    const api = await startManagement();
    const kinds = ["connections", "channels", "consumers", "exchanges", "queues", "bindings", "users", "vhosts"];
    const more = ["permissions", "nodes", "parameters", "policies", "operator_policies", "vhost_limits"];
    for (const kind of [...kinds, ...more]) expect(await list(api, "list", kind), kind).toBeInstanceOf(Array);
    expect(await admin(api, "show", "overview")).toContain('"product_name":"Delos"');
  });

  it("makes and deletes users", async () => {
    const api = await startManagement();
    expect(await admin(api, "declare", "user", "name=ann", "password=x", "tags=monitoring")).toBe("user declared");
    const permission = ["vhost=/", "user=ann", "configure=.*", "write=.*", "read=.*"];
    expect(await admin(api, "declare", "permission", ...permission)).toBe("permission declared");
    expect((await api.get("/api/v1/session", { as: "ann:x" })).body).toMatchObject({ groups: ["monitoring"] });
    expect(await admin(api, "delete", "user", "name=ann")).toBe("user deleted");
  });

  it("exports definitions of one broker and imports them to another", async () => {
    const file = join(temporaryFolder(), "definitions.json");
    const first = await startManagement();
    await admin(first, "declare", "queue", "name=q");
    await admin(first, "declare", "binding", "source=amq.topic", "destination=q", "routing_key=a.#");
    await admin(first, "export", file);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ queues: [{ name: "q" }] });
    const second = await startManagement();
    await admin(second, "import", file);
    expect(await list(second, "list", "bindings")).toMatchObject([
      { source: "", destination: "q" },
      { source: "amq.topic", destination: "q", routing_key: "a.#" },
    ]);
  });

  it("is told why something is refused", async () => {
    const api = await startManagement();
    await admin(api, "declare", "queue", "name=q");
    await expect(admin(api, "declare", "queue", "name=q", "durable=false")).rejects.toThrow(
      /inequivalent arg 'durable'/,
    );
    await expect(admin(api, "declare", "vhost", "name=new")).rejects.toThrow(/in the configuration \(hosts\)/);
  });
});
