import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { DelosProcess } from "./delos-process.ts";

/** A broker to be measured. */
export interface Target {
  readonly name: string;
  readonly port: number;
  /** 0 when nobody said. */
  readonly pid: number;
  readonly vhost: string;
}

/** What `--peer` says: `name=mosquitto,port=1883,pid=123`; `pid` and `vhost` may be left out. */
export function parseTarget(text: string): Target {
  const parts = new Map(
    text.split(",").map((part): [string, string] => [part.split("=")[0] ?? "", part.split("=")[1] ?? ""]),
  );
  const name = parts.get("name");
  const port = Number(parts.get("port"));
  if (name === undefined || !Number.isInteger(port)) throw new Error(`A peer needs name=...,port=..., not ${text}`);
  return { name, port, pid: Number(parts.get("pid") ?? 0), vhost: parts.get("vhost") ?? "/" };
}

/** How Delos is started to be measured. */
interface DelosOptions {
  /** Where its data goes, in a folder of its own that is gone afterwards: on a real disk. */
  readonly data: string;
  readonly port: number;
  /** As after `--set`. */
  readonly settings?: readonly string[];
  readonly nodeOptions?: readonly string[];
}

/** A fresh Delos; `stop` ends it and removes its data. */
export async function startDelos(options: DelosOptions): Promise<{
  target: Target;
  delos: DelosProcess;
  stop: () => Promise<void>;
}> {
  const directory = mkdtempSync(join(resolve(options.data), "delos-bench-"));
  const { port } = options;
  const delos = await DelosProcess.start(directory, port, options.settings, options.nodeOptions);
  const stop = async (): Promise<void> => {
    await delos.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { target: { name: "delos", port, pid: delos.pid, vhost: "/" }, delos, stop };
}

/** Delos, unless it is not wanted, and the peers that were named. */
export async function startTargets(
  peers: readonly string[],
  delos: DelosOptions | undefined,
): Promise<{ targets: readonly Target[]; stop: () => Promise<void> }> {
  const started = delos === undefined ? undefined : await startDelos(delos);
  const targets = [...(started === undefined ? [] : [started.target]), ...peers.map(parseTarget)];
  return { targets, stop: async () => started?.stop() };
}
