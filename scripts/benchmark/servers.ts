/**
 * Servers: zoolet on Bun, zoolet on Deno, and Apache ZooKeeper, started the same way from the same
 * `zoo.cfg` on a directory of their own.
 *
 * zoolet is started through `scripts/zoolet`, as anybody would. The original is taken as Debian
 * packages and starts it: with the heap and the collector that the JVM picks for this machine.
 */
import type { ChildProcess } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";
import { Buffer } from "node:buffer";
import { freePort, residentBytes, root, sleep, start, stop } from "./processes.ts";
import { addCreate, Frames, Link } from "./wire.ts";

export type ServerName = "apache" | "bun" | "deno";

const startMsMax = 60_000;
const stopMsMax = 30_000;
const probePauseMs = 2;
const staggerMs = 20;
const attemptMsMax = 250;

export interface StartOptions {
  /** Made when it is not there; the data of an earlier start is found again. */
  readonly directory: string;
}

/** A server that has acknowledged a write. */
export interface RunningServer {
  readonly name: ServerName;
  readonly port: number;
  readonly dataDirectory: string;
  /** From the start of the process to the first acknowledged write. */
  readonly firstWriteMs: number;
  residentBytes(): number | null;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
}

export async function startServer(name: ServerName, options: StartOptions): Promise<RunningServer> {
  const dataDirectory = join(options.directory, "data");
  mkdirSync(dataDirectory, { recursive: true });
  const port = await freePort();
  const config = join(options.directory, "zoo.cfg");
  writeFileSync(
    config,
    [
      "tickTime=2000",
      `dataDir=${dataDirectory}`,
      `clientPort=${port}`,
      "clientPortAddress=127.0.0.1",
      "maxClientCnxns=0",
      "4lw.commands.whitelist=*",
      "admin.enableServer=false",
      "",
    ].join("\n"),
  );
  const logFile = join(options.directory, "log");
  const startMs = performance.now();
  let firstWriteMs = 0;
  const child = startProcess(name, config, logFile);
  try {
    firstWriteMs = await firstWrite([port], () => endOf(child)) - startMs;
  } catch (error) {
    await stop(child, 1000);
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot start ${name}: ${why}. ${lastWords(logFile)}`);
  }
  return {
    name,
    port,
    dataDirectory,
    firstWriteMs,
    residentBytes: () => residentBytes(child.pid ?? 0),
    stop: () => stop(child, stopMsMax),
  };
}

/** Its output is appended to the log file. */
export function startProcess(name: ServerName, config: string, logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  try {
    const env = name === "apache" ? {} : { ZOOLET_RUNTIME: name };
    return start(commandOf(name, config), { output: log, env });
  } finally {
    closeSync(log);
  }
}

/** How a process ended, null while it runs. */
export function endOf(child: ChildProcess): string | null {
  if (child.exitCode === null && child.signalCode === null) return null;
  return `it ended with ${child.signalCode ?? `code ${child.exitCode}`}`;
}

export function lastWords(logFile: string): string {
  const last = readFileSync(logFile, "utf8").trim().split("\n").slice(-3).join(" / ");
  return `Its last words: ${last || "none"}`;
}

// --------------------------------------------------------------------------------- the original

const jars = (
  "zookeeper zookeeper-jute slf4j-api slf4j-simple netty-codec netty-resolver netty-transport netty-buffer " +
  "netty-common netty-handler netty-transport-native-unix-common metrics-core snappy-java commons-cli commons-io"
).split(" ");

function jarDirectory(): string {
  return process.env["ZOOLET_BENCH_JARS"] ?? "/usr/share/java";
}

/** Null when the original can be started; else what is missing. */
export function apacheMissing(): string | null {
  const jar = join(jarDirectory(), "zookeeper.jar");
  if (!existsSync(jar)) return `there is no ${jar} (Debian: libzookeeper-java; or set ZOOLET_BENCH_JARS)`;
  if (findProgram("java") === null) return "there is no java on the PATH (Debian: default-jre-headless)";
  return null;
}

export function findProgram(name: string): string | null {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** The original without flags for heap or collector, as Debian's package starts it. */
function commandOf(name: ServerName, config: string): string[] {
  if (name !== "apache") return [join(root, "scripts", "zoolet"), "server", config];
  return [
    ...["java", "-Djava.awt.headless=true"],
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ...["-cp", jars.map((jar) => join(jarDirectory(), `${jar}.jar`)).join(":")],
    ...["org.apache.zookeeper.server.quorum.QuorumPeerMain", config],
  ];
}

// ------------------------------------------------------------------------------------- asking it

/**
 * Tries until a write is acknowledged by one of the ports, and tells when. A new attempt begins while
 * older ones wait: the original accepts connections before it serves, and some of those are never
 * answered, so a client that stayed with one would measure its own patience and not the server's start.
 * `ended` tells why nothing more is to be expected.
 */
export function firstWrite(ports: readonly number[], ended: () => string | null): Promise<number> {
  return new Promise((resolve, reject) => {
    const endMs = performance.now() + startMsMax;
    let last = "nobody listened";
    let done = false;
    const settle = (end: () => void): void => {
      done = true;
      end();
    };
    const attempt = async (port: number): Promise<void> => {
      try {
        const atMs = await tryWrite(port);
        settle(() => resolve(atMs));
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
    };
    const next = async (): Promise<void> => {
      while (!done) {
        const end = ended();
        if (end !== null) return settle(() => reject(new Error(end)));
        if (performance.now() > endMs) {
          const limit = `${startMsMax / 1000} s`;
          return settle(() => reject(new Error(`no write was acknowledged within ${limit}: ${last}`)));
        }
        // A refused connection is known at once, an unanswered one after a while.
        await Promise.race([Promise.all(ports.map(attempt)), sleep(staggerMs)]);
        await sleep(probePauseMs);
      }
    };
    next().catch(reject);
  });
}

/** One attempt with a session of its own; when its write was acknowledged. */
async function tryWrite(port: number): Promise<number> {
  const link = await Link.open(port, attemptMsMax);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const path = `/bench-first-${process.hrtime.bigint()}`;
    const write = link.call((frames: Frames) => addCreate(frames, 1, path, Buffer.from("x")));
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("a write was not answered")), attemptMsMax);
    });
    const error = await Promise.race([write, late]);
    const nowMs = performance.now();
    if (error !== 0) throw new Error(`a write was refused with error ${error}`);
    return nowMs;
  } finally {
    clearTimeout(timer);
    void link.close();
  }
}

/** A four-letter word's answer; "" when there is none. */
export function askWord(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host: "127.0.0.1", port });
    socket.setTimeout(5000, () => socket.destroy());
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(word));
    socket.on("data", (chunk: string) => text += chunk);
    socket.on("error", () => {}); // `close` follows, and then what came so far is the answer.
    socket.on("close", () => resolve(text));
  });
}

/** How often zoolet's tree table has been checkpointed since its start. */
export async function checkpointsOf(port: number): Promise<number> {
  const found = /^zk_cnt_snapshottime\t(\d+)$/m.exec(await askWord(port, "mntr"));
  if (found === null) throw new Error("mntr does not tell zk_cnt_snapshottime, the number of checkpoints");
  return Number(found[1]);
}

/** The first line of `srvr`, cut down to the version. */
export async function versionOf(port: number): Promise<string> {
  return /version: ([\w.-]*\w)/.exec(await askWord(port, "srvr"))?.[1] ?? "of unknown version";
}
