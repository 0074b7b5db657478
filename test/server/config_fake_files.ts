/**
 * Files in memory for the tests of the configuration: a path to its text or bytes, null for a directory.
 */
import type { ConfigFiles, Loaded } from "../../src/server/config.ts";
import { formatProblems } from "../../src/server/config.ts";
import type { ConfigProblem, ServerSettings } from "../../src/server/config_types.ts";

export type FakeFiles = Readonly<Record<string, string | Uint8Array | null>>;

export function fakeFiles(content: FakeFiles): ConfigFiles {
  const files = new Map(Object.entries(content).map(([path, value]) => [absolute(path), value]));
  return {
    absolute,
    info(path) {
      const value = files.get(absolute(path));
      if (value === undefined) return null;
      const bytes = value === null ? 0 : bytesOf(value).length;
      return { bytes, isDirectory: value === null, modifiedMs: 0 };
    },
    read(path) {
      const value = files.get(absolute(path));
      if (value === undefined || value === null) {
        throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      }
      return bytesOf(value);
    },
  };
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/cwd/${path.replace(/^(\.\/)+/, "")}`;
}

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? new TextEncoder().encode(value) : value;
}

export function settingsOf(loaded: Loaded): ServerSettings {
  if ("settings" in loaded) return loaded.settings;
  throw new Error(`expected settings, found problems:\n${formatProblems(loaded.problems)}`);
}

export function problemsOf(loaded: Loaded): readonly ConfigProblem[] {
  if ("problems" in loaded) return loaded.problems;
  throw new Error("expected problems, found settings");
}
