/**
 * Permissions: what a command may touch under Deno, as the flags to start it with.
 *
 *   deno run … src/permissions.ts <the clone> <the words of the command line>
 *
 * prints three lines: `--allow-read=…`, `--allow-write=…` and `--allow-run=…`, the last two empty where there
 * is nothing to allow. `scripts/zoolet` asks before it starts the command itself. The paths come from the same
 * code that the server reads its configuration with: files are those that it opened here, so what is allowed
 * is exactly what it will want.
 */
import { parseCommandLine } from "./cli/args.ts";
import { currentRuntime } from "./runtime/current.ts";
import type { ServerSettings } from "./server/config_types.ts";
import { type ServeCommand, settingsOf, type SettingsPorts } from "./settings_of.ts";

class Paths {
  readonly read = new Set<string>();
  readonly write = new Set<string>();
  readonly #isDirectory: (path: string) => boolean;

  constructor(isDirectory: (path: string) => boolean) {
    this.#isDirectory = isDirectory;
  }

  /**
   * A data directory that is there is all that is written to. One that is not is made, and each new name made
   * durable in the directory that holds it: then the topmost new one is written, and the one above it read.
   */
  addDirectory(path: string): void {
    let made = path;
    let above = path;
    while (!this.#isDirectory(above)) {
      made = above;
      above = above.slice(0, above.lastIndexOf("/")) || "/";
    }
    this.read.add(above);
    this.read.add(made);
    this.write.add(made);
  }

  flag(name: string, paths: ReadonlySet<string>): string {
    return paths.size === 0 ? "" : `--allow-${name}=${[...paths].map(withoutComma).join(",")}`;
  }
}

/** Commas separate the paths of a flag, so a path with one is allowed by the directory above the comma. */
function withoutComma(path: string): string {
  const comma = path.search(/[,\n]/);
  return comma < 0 ? path : path.slice(0, path.lastIndexOf("/", comma)) || "/";
}

function addSettings(paths: Paths, settings: ServerSettings): void {
  if (settings.storageKind !== "memory") {
    paths.addDirectory(files.absolute(settings.dataDir));
    paths.addDirectory(files.absolute(settings.dataLogDir));
  }
  for (const file of [settings.tls?.keyFile, settings.tls?.certFile, settings.tls?.caFile]) {
    if (typeof file === "string") paths.read.add(files.absolute(file));
  }
}

const { files, process } = await currentRuntime();
const [clone = "", ...words] = process.info.argv;
const paths = new Paths((path) => files.info(path)?.isDirectory === true);
for (const path of ["src", "node_modules", "package.json"]) paths.read.add(`${clone}/${path}`);
// For the name of the user, which `envi` and the log tell.
paths.read.add("/etc/passwd");

const opened = (path: string): string => {
  paths.read.add(files.absolute(path));
  return path;
};
const ports: SettingsPorts = {
  process,
  files: {
    absolute: (path) => files.absolute(path),
    info: (path) => files.info(opened(path)),
    read: (path) => files.read(opened(path)),
  },
};

const command = await parseCommandLine(words);
const isServer = (one: typeof command): one is ServeCommand => one.kind === "server" || one.kind === "dev";
const isEnsemble = command.kind === "dev" && command.peers > 1;
if (isEnsemble) paths.addDirectory(files.absolute(command.dataDir ?? ".zoolet"));
else if (isServer(command)) {
  const loaded = settingsOf(ports, command);
  if ("settings" in loaded) addSettings(paths, loaded.settings);
}
const script = withoutComma(`${clone}/scripts/zoolet`);
const runs = !isEnsemble ? "" : script.endsWith("/zoolet") ? `--allow-run=${script}` : "--allow-run";
process.stdout(
  `${paths.flag("read", paths.read)}\n${paths.flag("write", paths.write)}\n${runs}\n`,
);
