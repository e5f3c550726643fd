import process from "node:process";
import { systemClock } from "../clock.ts";
import { type ConfigSources, loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { type Log, openLog } from "../log.ts";
import type { RunningServer } from "../server.ts";
import { type ContainerStart, inContainer, isContainer } from "./container.ts";
import { CONFIG_HELP, CONFIG_OPTIONS, complain, EXIT, print, readOptions } from "./arguments.ts";
import type { Command } from "./commands.ts";
import { packageVersion } from "./package.ts";
import { ServiceManager } from "./service-manager.ts";
import { configSources } from "./sources.ts";
import { welcome } from "./welcome.ts";

/**
 * A signal that comes so soon after the first is the same one: npm passes on what the terminal, or the service manager, has
 * given the broker already.
 */
const SAME_SIGNAL_MS = 500;
/** How long something forgotten may keep the process once the broker has stopped. */
const LINGER_MS = 2000;

/** `delos serve`: runs the broker until a signal or a failure ends it. */
export const serve: Command = {
  help: `Usage: delos serve [OPTIONS]

Runs the broker. What it listens on goes to standard output, the log to standard error.

${CONFIG_HELP}

Signals: SIGTERM and SIGINT say goodbye to all clients, write what is left and end the process; a
second one, half a second later or more, ends it at once. SIGHUP reads the configuration again, certificates too, and takes over what
can be changed while the broker runs; the log says what needs a restart.

With DELOS_CONTAINER=1 in the environment all ports listen on every address, guests are not let in, and
there is a user "admin": its password is in the file that DELOS_ADMIN_PASSWORD_FILE names, or is made up and
printed at the first start. Whatever the configuration says of these counts instead.`,

  async run(args) {
    const { values } = readOptions(args, CONFIG_OPTIONS);
    // By itself this signal ends a process: one that comes while the broker starts is answered when it has.
    let early = false;
    const onEarly = (): void => void (early = true);
    process.on("SIGHUP", onEarly);
    const start = await containerStart(configSources(values));
    if (start === undefined) return EXIT.usage;
    const { sources, password } = start;
    const loaded = loadConfig(sources);
    if (!loaded.ok) {
      complain(...loaded.problems);
      return EXIT.usage;
    }
    const log = await openLog({ settings: loaded.config.log, clock: systemClock });
    for (const warning of loaded.warnings) log.warn({}, warning);
    const server = await startBroker(loaded.config, log, sources);
    if (server === undefined) return EXIT.failed;
    // Before anybody is told that it is ready: a signal that comes right after that must find somebody who listens.
    const manager = ServiceManager.of(process.env, systemClock, log);
    const ending = runUntilEnd({ server, sources, log, manager });
    process.off("SIGHUP", onEarly);
    if (early) await reload(server, sources, log);
    log.info({ listeners: server.listeners, directory: server.directory }, "ready");
    // Whoever reads the lines below may stop reading.
    process.stdout.on("error", () => {});
    print(...welcome(loaded.config, server, packageVersion()));
    manager?.ready(`Serves on ${server.listeners.length} ports`);
    if (password !== undefined) print("  User      admin", `  Password  ${password}   (shown only now)`, "");
    start.keep();
    const code = await ending;
    log.flush();
    setTimeout(() => process.exit(code), LINGER_MS).unref();
    return code;
  },
};

/** Adds what holds in a container, if this is one; undefined when that cannot be had. */
async function containerStart(sources: ConfigSources): Promise<ContainerStart | undefined> {
  if (!isContainer(sources)) return { sources, password: undefined, keep: () => {} };
  try {
    return await inContainer(sources);
  } catch (error) {
    complain(`delos serve: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function startBroker(config: Config, log: Log, sources: ConfigSources): Promise<RunningServer | undefined> {
  try {
    const { startServer } = await import("../server.ts");
    return await startServer(config, log, { load: (text) => loadConfig({ ...sources, text }) });
  } catch (error) {
    complain(`delos serve: ${error instanceof Error ? error.message : String(error)}`);
    // A plain Error is a sentence for the operator; anything else is a fault of the broker, whose stack is worth having.
    if (!(error instanceof Error) || error.constructor !== Error) log.error({ err: error }, "the broker did not start");
    return undefined;
  }
}

/** A broker that runs, and whom to tell of it. */
interface Running {
  readonly server: RunningServer;
  readonly sources: ConfigSources;
  readonly log: Log;
  readonly manager: ServiceManager | undefined;
}

/** Resolves to the exit code once a signal has stopped the broker. A failure ends the process. */
function runUntilEnd({ server, sources, log, manager }: Running): Promise<number> {
  const again = async (): Promise<void> => {
    manager?.reloading();
    const status = await reload(server, sources, log);
    manager?.reloaded(status);
  };
  let reloading = Promise.resolve();
  process.on("SIGHUP", () => {
    // One after the other: what was written last is what holds at the end.
    reloading = reloading.then(again);
  });
  process.on("uncaughtException", (error) => {
    die(log, error, "a fault in the broker; it ends, as nothing can be relied on any more");
  });
  void server.failed.then((error) =>
    die(log, error, `${error.message}; the broker ends, as it can promise nothing any more`),
  );
  return new Promise((resolve) => {
    let stoppingSince: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince < SAME_SIGNAL_MS) return;
        log.warn({ signal }, "stopped at once by a second signal");
        log.flush();
        process.exit(EXIT.failed);
      }
      stoppingSince = performance.now();
      void manager?.stopping();
      resolve(stop(server, signal, log));
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

function die(log: Log, error: unknown, text: string): never {
  log.fatal({ err: error }, text);
  log.flush();
  process.exit(EXIT.failed);
}

async function stop(server: RunningServer, signal: NodeJS.Signals, log: Log): Promise<number> {
  log.info({ signal }, "stopping");
  try {
    await server.stop("the broker is shutting down");
    log.info({}, "stopped");
    return EXIT.ok;
  } catch (error) {
    log.error({ err: error }, "the broker did not stop cleanly");
    return EXIT.failed;
  }
}

/** Takes over what can be taken over; on any error everything stays as it is. Resolves to what came of it, in short. */
async function reload(server: RunningServer, sources: ConfigSources, log: Log): Promise<string> {
  const loaded = loadConfig(sources);
  if (!loaded.ok) {
    for (const problem of loaded.problems) log.error({ problem }, "the configuration is wrong; the old one stays");
    return "The configuration is wrong; the old one stays";
  }
  for (const warning of loaded.warnings) log.warn({}, warning);
  try {
    const { applied, needsRestart } = await server.reload(loaded.config);
    log.info({ applied, needsRestart }, "the configuration was read again");
    if (needsRestart.length > 0)
      log.warn({ settings: needsRestart }, "some changed settings count from the next start on");
    return needsRestart.length > 0 ? "Some changed settings need a restart" : "The configuration was read again";
  } catch (error) {
    log.error({ err: error }, "the configuration could not be taken over");
    return "The configuration could not be taken over; the old one stays";
  }
}
