/**
 * Configuration: from a file, flags and the environment to settings, or to everything that is wrong.
 *
 * ```
 *  JVMFLAGS ─┐
 *  zoo.cfg or ├─► written ─► resolve ─► settings     or     problems, all of them
 *  x.toml ───┤    config_    config_    config_
 *  flags ────┘    source     resolve    settings
 * ```
 *
 * The later source wins: flags over the file, the file over JVM properties (operations 1.1). A file
 * that ends in `.toml` is TOML, every other one is a classic `zoo.cfg`. What each key is called and
 * means is in the table of `config_keys.ts`.
 *
 * Always true: nothing in a file, a flag or a variable makes these functions throw.
 */
import * as limits from "../core/base/limits.ts";
import { readJvmFlags } from "./config_flags.ts";
import { keys } from "./config_keys.ts";
import { Report } from "./config_report.ts";
import { isOurProperty, resolve } from "./config_resolve.ts";
import { buildSettings } from "./config_settings.ts";
import { type ConfigFiles, readSource, type Source, type Written } from "./config_source.ts";
import type { ConfigProblem, ServerSettings } from "./config_types.ts";

export {
  describeSettings,
  explainKey,
  formatProblems,
  formatSettings,
  keysMarkdown,
} from "./config_describe.ts";
export type { SettingLine } from "./config_describe.ts";
export type { ConfigFiles } from "./config_source.ts";

/** Warnings come with problems, too: what is misspelt explains what is missing. */
export type Loaded = { readonly settings: ServerSettings } | {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
};

/** Classic keys and their values as text: `{ clientPort: "2181" }`. */
export type SettingPairs = Readonly<Record<string, string>>;

export interface LoadOptions {
  /** For `JVMFLAGS` and `SERVER_JVMFLAGS`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** From the command line; they win over everything. */
  readonly flags?: SettingPairs;
  /** 32 random bits: an observer that nobody gave a number makes itself one of them. */
  readonly chance?: number;
}

/** What `zoolet dev` starts with. */
export const devPreset: SettingPairs = {
  dataDir: ".zoolet",
  clientPort: "2181",
  clientPortAddress: "127.0.0.1",
  tickTime: "2000",
  "4lw.commands.whitelist": "*",
};

export function loadSettings(files: ConfigFiles, path: string, options: LoadOptions = {}): Loaded {
  const report = new Report();
  const source = readSource(files, path, report);
  // Without the file every key would be missing; that is one problem and not five.
  const { problems, warnings } = report;
  if (problems.length > 0 && source.written.length === 0) return { problems, warnings };
  return load(files, path, source, options, report);
}

/** Settings without a file: `preset` first (as {@link devPreset}), then the options' flags over it. */
export function settingsFrom(files: ConfigFiles, preset: SettingPairs, options: LoadOptions = {}): Loaded {
  const written = pairsWritten(preset, "preset");
  return load(files, "defaults", { text: null, written }, options, new Report());
}

function load(
  files: ConfigFiles,
  path: string,
  source: Source,
  options: LoadOptions,
  report: Report,
): Loaded {
  const written = [
    ...jvmWritten(options.env ?? {}, report),
    ...source.written,
    ...pairsWritten(options.flags ?? {}, "flag"),
  ];
  const resolved = resolve(written, report);
  const chance = options.chance ?? 1;
  const settings = buildSettings(files, { source: path, sourceText: source.text, chance }, resolved, report);
  if (report.problems.length === 0) return { settings };
  // In the order of the file, and what is about the whole of it last.
  const order = (line: number): number => (line === 0 ? Number.MAX_SAFE_INTEGER : line);
  const problems = [...report.problems].sort((a, b) => order(a.line) - order(b.line));
  return { problems, warnings: report.warnings };
}

function jvmWritten(env: Readonly<Record<string, string | undefined>>, report: Report): Written[] {
  const flags = readJvmFlags(env);
  const foreign = flags.properties.filter(({ name }) => !isOurProperty(name)).map(({ name }) => `-D${name}`);
  const passedOver = [...flags.passedOver, ...foreign];
  if (passedOver.length > 0) {
    const some = passedOver.slice(0, 5).map((word) => word.slice(0, 40)).join(" ");
    const more = passedOver.length > 5 ? ` and ${passedOver.length - 5} more` : "";
    report.note(
      { file: "JVMFLAGS", line: 0 },
      `flags for a Java virtual machine are passed over: ${some}${more}`,
    );
  }
  return flags.properties.filter(({ name }) => isOurProperty(name))
    .map(({ name, value, origin }) => ({ name, value, file: origin, line: 0, via: "jvm" }));
}

function pairsWritten(pairs: SettingPairs, via: "flag" | "preset"): Written[] {
  return Object.entries(pairs).map(([name, value]) => ({ name, value, file: via, line: 0, via }));
}

/** A part of the settings, for a server that is started from code: a test, a tool. */
export type SettingOverrides = Partial<Omit<ServerSettings, "admin">> & {
  readonly admin?: Partial<ServerSettings["admin"]>;
};

/**
 * The settings of `zoolet dev` with some replaced, without a look at any file. What follows from
 * another value (the log's directory, the session limits) follows from the replaced one.
 */
export function defaultSettings(overrides: SettingOverrides = {}): ServerSettings {
  const { admin, ...given } = overrides;
  const dataDir = given.dataDir ?? ".zoolet";
  const tickMs = given.tickMs ?? 2000;
  return {
    ensemble: null,
    storageKind: "disk",
    source: "defaults",
    sourceText: null,
    dataDir,
    dataLogDir: dataDir,
    clientPort: 2181,
    clientPortAddress: "127.0.0.1",
    secureClientPort: -1,
    secureClientPortAddress: null,
    clientPortListenBacklog: -1,
    clientTcpKeepAlive: false,
    tickMs,
    sessionTimeoutMsMin: tickMs * limits.sessionTimeoutTicksMin,
    sessionTimeoutMsMax: tickMs * limits.sessionTimeoutTicksMax,
    connectionsPerAddressMax: limits.connectionsPerAddressDefault,
    connectionsMax: 0,
    watchesPerConnectionMax: limits.watchesPerConnectionDefault,
    watchesMax: limits.watchesDefault,
    outstandingRequestsMax: limits.outstandingRequestsDefault,
    frameBytesMax: limits.frameBytesMax,
    frameExtraBytes: limits.frameBytesMax,
    sessionlessMsMax: limits.sessionlessMsMax,
    serverId: 1,
    serverIdShown: 0,
    extendedTypes: true,
    enforceQuota: false,
    skipAcl: false,
    digestEnabled: true,
    closeSessionTxn: true,
    superDigest: null,
    digestAuthEnabled: true,
    enforceAuthSchemes: [],
    containerCheckMs: Number(keys["znode.container.checkIntervalMs"].standard),
    containerPerMinuteMax: Number(keys["znode.container.maxPerMinute"].standard),
    containerNeverUsedMs: 0,
    fourLetterWords: "all",
    readOnlyMode: false,
    sync: "full",
    logRetainTxns: Number(keys["zoolet.logRetainTxns"].standard),
    logRetainMs: Number(keys["zoolet.logRetainMs"].standard),
    dataDirAutocreate: true,
    fsyncWarningMs: Number(keys["fsync.warningthresholdms"].standard),
    logFormat: "text",
    logLevel: "info",
    tls: null,
    metrics: null,
    origins: new Map(),
    warnings: [],
    notes: [],
    ...given,
    admin: { enabled: true, address: "127.0.0.1", port: 8080, commandUrl: "/commands", ...admin },
  };
}
