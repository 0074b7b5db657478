/**
 * Zoolet: our own server as a process, started the way an operator's script would.
 *
 * It runs on the runtime that runs the tests, unless `ZOOLET_RUNTIME` names the other one.
 */
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";
import { type RunningServer, type ServerStart, settingsText } from "./servers.ts";

export const projectDirectory = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export type RuntimeName = "bun" | "deno";

const ours: RuntimeName = process.versions["bun"] === undefined ? "deno" : "bun";

export function runtimeUnderTest(): RuntimeName {
  const wanted = process.env["ZOOLET_RUNTIME"];
  return wanted === "bun" || wanted === "deno" ? wanted : ours;
}

/** The command line that runs a file of this project. */
export function runtimeCommand(runtime: RuntimeName, file: string): { command: string; args: string[] } {
  const command = runtime === ours ? process.execPath : runtime;
  return { command, args: runtime === "bun" ? [file] : ["run", "-A", "--no-check", "--quiet", file] };
}

/** Why our server cannot be run; null when it can. */
export function zooletMissing(): string | null {
  return existsSync(join(projectDirectory, "src", "main.ts")) ? null : "src/main.ts is not there";
}

export interface ZooletStart extends ServerStart {
  readonly runtime?: RuntimeName;
  /** Put in front of the command: `strace` and its flags. */
  readonly wrapper?: readonly string[];
  readonly readyMsMax?: number;
}

/** Starts without waiting for the ready line. */
export function spawnZoolet(start: ZooletStart): Child {
  const file = join(start.directory, "zoo.cfg");
  writeFileSync(
    file,
    settingsText({
      tickTime: 2000,
      clientPort: 0,
      clientPortAddress: "127.0.0.1",
      dataDir: join(start.directory, "data"),
      "admin.enableServer": false,
      "4lw.commands.whitelist": "*",
      maxClientCnxns: 0,
      ...start.settings,
    }),
  );
  const { command, args } = runtimeCommand(
    start.runtime ?? runtimeUnderTest(),
    join(projectDirectory, "src", "main.ts"),
  );
  const line = [...(start.wrapper ?? []), command, ...args, "server", file];
  return new Child(line[0] as string, line.slice(1), { cwd: projectDirectory });
}

/** Waits for the ready line of a spawned server. The pid is the server's own, behind a wrapper too. */
export async function zooletReady(child: Child, readyMsMax = 20_000): Promise<RunningServer> {
  try {
    const ready = await child.untilOutput(/^zoolet ready .*$/m, readyMsMax);
    const line = ready[0];
    const port = Number(line.match(/ client=\S*:(\d+)/)?.[1]);
    const pid = Number(line.match(/ pid=(\d+)/)?.[1] ?? child.pid);
    if (!(port > 0)) throw new Error(`Ready line names no client port: ${line}`);
    return {
      name: `zoolet on ${line.match(/ runtime=(\S+)/)?.[1] ?? "?"}`,
      port,
      pid,
      child,
      stop: () => child.stop(),
    };
  } catch (error) {
    child.kill();
    throw new Error(`zoolet did not come up: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function startZoolet(start: ZooletStart): Promise<RunningServer> {
  return zooletReady(spawnZoolet(start), start.readyMsMax);
}
