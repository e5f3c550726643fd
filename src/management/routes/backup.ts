import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BrokerError } from "../../../core/errors.ts";
import type { ManagementApp, ManagementContext } from "../context.ts";

/** Its name in the directory of the store: a copy that is put there under this name is what the broker starts with. */
const FILE = "delos.mdb";
const FOLDER = "backup-";

/** A copy of all that is stored, made while the broker goes on. */
export function backupRoutes(app: ManagementApp, context: ManagementContext): void {
  let running = false;

  app.post(
    "/backup",
    {
      config: { right: "config broker", audit: "broker.backup" },
      schema: {
        tags: ["broker"],
        summary: "Copy the store",
        description:
          "A consistent copy of all that is on disk, as one file. It holds every message with its body, and what is known " +
          "of users that are managed here. Put into an empty directory as delos.mdb, a broker starts with it.",
        produces: ["application/octet-stream"],
      },
    },
    async (_request, reply) => {
      const { broker, config, clock, log } = context;
      const { raw } = reply;
      const { store } = broker;
      if (store.backup === undefined) {
        throw new BrokerError("conflict", "The store is in memory only (store.kind): there is nothing to be copied");
      }
      if (running) throw new BrokerError("limit", "A copy is being made already; one at a time");
      running = true;
      // On the same disk, as the copy is about as large as the store.
      const { directory } = config().store;
      const done = (): void => {
        running = false;
        clear(directory).catch((error: unknown) => {
          log.error({ err: error, directory }, "a copy of the store could not be removed");
        });
      };
      // It is silent for as long as the copy takes.
      const silenceMs = raw.socket?.timeout ?? 0;
      raw.setTimeout(0);
      try {
        await clear(directory);
        const path = join(await mkdtemp(join(directory, FOLDER)), FILE);
        await store.backup(path);
        const { size } = await stat(path);
        raw.setTimeout(silenceMs);
        const name = `delos-${new Date(clock.now()).toISOString().replaceAll(":", "")}.mdb`;
        reply.headers({
          "content-type": "application/octet-stream",
          "content-length": size,
          "content-disposition": `attachment; filename="${name}"`,
        });
        const stream = createReadStream(path);
        stream.once("close", done);
        // Whoever asked may have gone meanwhile: then nobody else would end it.
        if (raw.destroyed) stream.destroy();
        return reply.send(stream);
      } catch (error) {
        done();
        throw error;
      }
    },
  );
}

/** What a process left behind that ended while it made a copy. */
async function clear(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(FOLDER)) await rm(join(directory, name), { recursive: true, force: true });
  }
}
