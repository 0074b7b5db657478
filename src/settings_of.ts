/**
 * Settings of a command: from its words, its file and the environment, for the server that starts and for the
 * launcher that asks beforehand what such a server may touch.
 */
import type { ParsedCommand } from "./cli/args.ts";
import type { FilesPort, ProcessPort } from "./runtime/ports.ts";
import { devPreset, type Loaded, loadSettings, settingsFrom } from "./server/config.ts";

export type ServeCommand = Extract<ParsedCommand, { kind: "server" | "dev" }>;

export interface SettingsPorts {
  readonly files: Pick<FilesPort, "read" | "info" | "absolute">;
  readonly process: Pick<ProcessPort, "info" | "randomU32">;
}

export function settingsOf(runtime: SettingsPorts, command: ServeCommand): Loaded {
  const { files, process } = runtime;
  const { env } = process.info;
  if (command.kind === "server" && command.configPath !== null) {
    return loadSettings(files, command.configPath, { env, chance: process.randomU32() });
  }
  const flags: Record<string, string> = {};
  if (command.kind === "dev") {
    if (command.port !== null) flags["clientPort"] = String(command.port);
    if (command.dataDir !== null) flags["dataDir"] = command.dataDir;
    if (command.adminPort !== null) flags["admin.serverPort"] = String(command.adminPort);
    if (command.sync === "off") flags["forceSync"] = "no";
  }
  return settingsFrom(files, devPreset, { env, flags });
}
