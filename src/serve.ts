/**
 * Serve: `zoolet server` and `zoolet dev --peers 1`, from a command line to a running server and its
 * end. `zoolet dev` with several peers starts this once for each: dev_ensemble.
 *
 * Here the rooms of the upper floors meet: settings, storage, server, admin. Exit codes are those of
 * the original (operations 1.3): 0 a clean stop, 1 anything unexpected, 2 a bad configuration, 3 a
 * data directory that cannot be used.
 */
import type { HttpServer, ProcessInfo, Runtime } from "./runtime/ports.ts";
import { systemCodeOf } from "./runtime/ports.ts";
import { formatProblems, formatSettings } from "./server/config.ts";
import type { ServerSettings } from "./server/config_types.ts";
import type { WordSource } from "./server/four_letter_words.ts";
import { type Logger, makeLogger } from "./server/logger.ts";
import { type MadeServer, makeServer, type RunningServer } from "./server/server.ts";
import { type ServeCommand, settingsOf } from "./settings_of.ts";
import { StorageError } from "./storage/storage.ts";
import { openMemoryStorage } from "./storage/memory_storage.ts";
import { openStorage } from "./storage/worker_storage.ts";

const exitUnexpected = 1;
const exitConfig = 2;
const exitData = 3;

export async function serve(runtime: Runtime, command: ServeCommand): Promise<void> {
  const { process, clock } = runtime;
  const loaded = settingsOf(runtime, command);
  if ("problems" in loaded) {
    const told = [...loaded.warnings, formatProblems(loaded.problems)].join("\n");
    process.stderr(`${told}\nInvalid config, exiting abnormally\n`);
    return process.exit(exitConfig);
  }
  const settings = chosen(loaded.settings, command);
  if (command.kind === "server" && (command.check || command.printEffective)) {
    for (const warning of settings.warnings) process.stderr(`${warning}\n`);
    process.stdout(
      command.printEffective ? `${formatSettings(settings)}\n` : `${settings.source} is valid\n`,
    );
    return;
  }
  const logger = makeLogger({
    clock,
    output: process.logs.stderr,
    format: settings.logFormat,
    level: settings.logLevel,
  });
  for (const note of settings.notes) logger.info("config_note", note);
  for (const warning of settings.warnings) logger.warn("config_warning", warning);

  const fatal = (message: string): never => {
    logger.error("fatal", `${message}. Ending: what is acknowledged is safe on disk`);
    return process.exit(exitUnexpected);
  };
  process.onCrash((error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    logger.error("crash", `Unexpected error, exiting abnormally: ${text}`);
    process.exit(exitUnexpected);
  });

  const made = make(runtime, settings, logger, fatal);
  // First of all: whoever looks after this process can see that it loads.
  const admin = await startAdmin(runtime, settings, made.words, logger);
  const server = await start(runtime, made, logger);
  let announced = false;
  whenServing(settings, server, (mode) => {
    if (announced) return;
    announced = true;
    process.logs.stdout.write(readyLine(process.info, settings, server, admin, mode));
    if (command.kind === "dev") process.logs.stdout.write(howToConnect(server));
  });

  let stopping = false;
  const stop = async (reason: string): Promise<void> => {
    stopping = true;
    logger.info("stopping", `Stopping on ${reason}`);
    for (const http of admin.servers) await http.close();
    await server.stop();
    logger.info("stopped", "Stopped");
    process.exit(0);
  };
  const onSignal = (signal: "SIGINT" | "SIGTERM"): void => {
    process.onSignal(signal, () => {
      if (stopping) process.exit(exitUnexpected);
      stop(signal).catch((error: unknown) => fatal(`Cannot stop cleanly: ${String(error)}`));
    });
  };
  onSignal("SIGINT");
  onSignal("SIGTERM");
  if (command.kind === "server" && command.endWithInput) {
    process.onInputEnd(() => {
      // Ctrl-C reaches whoever started us as well, and this is then no second wish.
      if (stopping) return;
      stop("the end of standard input").catch((error: unknown) =>
        fatal(`Cannot stop cleanly: ${String(error)}`)
      );
    });
  }
}

/** Calls at the latest when clients are served, and at once where nobody else has to be there for it. */
function whenServing(settings: ServerSettings, server: RunningServer, call: (mode: string) => void): void {
  if (settings.ensemble === null) call("standalone");
  else server.onServing(call);
}

function chosen(settings: ServerSettings, command: ServeCommand): ServerSettings {
  const { format, level } = command.log;
  return { ...settings, logFormat: format ?? settings.logFormat, logLevel: level ?? settings.logLevel };
}

function make(
  runtime: Runtime,
  settings: ServerSettings,
  logger: Logger,
  onFatal: (message: string) => void,
): MadeServer {
  const storage = settings.storageKind === "memory" ? openMemoryStorage() : openStorage(runtime, {
    dataDir: settings.dataDir,
    dataLogDir: settings.dataLogDir,
    sync: settings.sync,
    logRetainTxns: settings.logRetainTxns,
    logRetainMs: settings.logRetainMs,
    mustExist: !settings.dataDirAutocreate,
    hasPeers: settings.ensemble !== null,
    // An observer may have another number at each start, and what it holds is the ensemble's.
    serverId: settings.ensemble === null || settings.ensemble.observer ? null : settings.ensemble.sid,
  });
  return makeServer({ runtime, settings, storage, logger, onFatal });
}

async function start({ process }: Runtime, server: MadeServer, logger: Logger): Promise<RunningServer> {
  try {
    return await server.start();
  } catch (error) {
    if (error instanceof StorageError) {
      logger.error("storage_start", `Unable to load database on disk: ${error.message}`, {
        code: error.code,
      });
      return process.exit(error.code === "access" ? exitData : exitUnexpected);
    }
    if (systemCodeOf(error) !== "" && error instanceof Error) {
      logger.error("start_failed", `${error.message}`, { code: systemCodeOf(error) });
      return process.exit(exitUnexpected);
    }
    throw error;
  }
}

interface Admin {
  /** For the ready line. */
  readonly url: string;
  readonly servers: readonly HttpServer[];
}

/** The endpoint is bound now and loaded at the first request: a server that nobody looks at stays small. */
async function startAdmin(
  runtime: Runtime,
  settings: ServerSettings,
  words: WordSource,
  logger: Logger,
): Promise<Admin> {
  const servers: HttpServer[] = [];
  const source = { ...words, logger };
  const bind = async (
    what: string,
    host: string,
    port: number,
    make: () => Promise<{ fetch(r: Request): Response | Promise<Response> }>,
  ) => {
    let app: ReturnType<typeof make> | null = null;
    try {
      const http = await runtime.http.serve(
        { host, port },
        async (request) => (await (app ??= make())).fetch(request),
      );
      servers.push(http);
      return `http://${host}:${http.port}`;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn(
        "admin_unavailable",
        `Problem starting ${what} on address ${host}, port ${port}: ${why}; serving goes on without it`,
      );
      return "none";
    }
  };
  let url = "off";
  if (settings.admin.enabled) {
    const { address, port, commandUrl } = settings.admin;
    url = await bind(
      "AdminServer",
      address,
      port,
      async () => (await import("./admin/app.ts")).makeAdminApp(source),
    );
    if (url !== "none") {
      logger.info(
        "admin_started",
        `Started AdminServer on address ${address}, port ${
          url.slice(url.lastIndexOf(":") + 1)
        } and command URL ${commandUrl}`,
      );
    }
  }
  if (settings.metrics !== null) {
    const { address, port } = settings.metrics;
    await bind("metrics", address, port, async () => (await import("./admin/app.ts")).makeMetricsApp(source));
  }
  return { url, servers };
}

function addressShown(settings: ServerSettings, port: number): string {
  return `${settings.clientPortAddress ?? "0.0.0.0"}:${port}`;
}

function readyLine(
  info: ProcessInfo,
  settings: ServerSettings,
  server: RunningServer,
  admin: Admin,
  mode: string,
): string {
  const secure = server.securePort >= 0 && settings.tls !== null
    ? ` secure=${settings.secureClientPortAddress ?? "0.0.0.0"}:${server.securePort}`
    : "";
  const client = settings.clientPort >= 0 ? addressShown(settings, server.clientPort) : "none";
  const kept = settings.storageKind === "memory"
    ? "data=memory"
    : `data=${settings.dataDir} sync=${settings.sync}`;
  return `zoolet ready mode=${mode} client=${client}${secure} admin=${admin.url} ${kept} ` +
    `runtime=${info.runtime}/${info.runtimeVersion} pid=${info.pid}\n`;
}

function howToConnect(server: RunningServer): string {
  return `Connect with: ./scripts/zoolet cli -server 127.0.0.1:${server.clientPort}   (or zkCli.sh, kazoo, any ZooKeeper client). Stop with Ctrl-C.\n`;
}
