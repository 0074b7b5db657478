/**
 * Words about settings: problems, effective values and the reference of all keys, for people.
 *
 * Always true: a secret is never shown, only that there is one.
 */
import { allKeys, specOf } from "./config_known.ts";
import type { KeySpec, Use } from "./config_keys.ts";
import { kinds } from "./config_kinds.ts";
import type { ConfigProblem, ServerSettings } from "./config_types.ts";

/** One line each: `zoo.cfg:3: clientPort: found "abc", expected a port from 0 to 65535 (For input …)`. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(formatProblem).join("\n");
}

function formatProblem(problem: ConfigProblem): string {
  const { file, line, key, found, allowed, sentence } = problem;
  const place = line > 0 ? `${file}:${line}` : file;
  const what = found === "" && line === 0 ? "nothing" : JSON.stringify(found);
  return `${place}: ${key}: found ${what}, expected ${allowed}${sentence === "" ? "" : ` (${sentence})`}`;
}

export interface SettingLine {
  /** The name in a `zoo.cfg`, and in TOML. */
  readonly key: string;
  readonly toml: string | null;
  readonly value: string;
  /** `default`, `zoo.cfg:3`, `flag`, `JVMFLAGS`, `preset`. */
  readonly origin: string;
}

/** Every setting that acts, with its effective value and where that came from. */
export function describeSettings(settings: ServerSettings): SettingLine[] {
  const lines: SettingLine[] = [];
  for (const [key, spec] of allKeys) {
    if (spec.shows === undefined) continue;
    const value = spec.shows(settings);
    const shown = value === null ? "" : spec.secret === true ? "(set)" : String(value);
    lines.push({ key, toml: spec.toml, value: shown, origin: settings.origins.get(key) ?? "default" });
  }
  return [...lines, ...membershipLines(settings)];
}

/** `server.N`, `group.N` and `weight.N`, as members tell them to each other. */
function membershipLines(settings: ServerSettings): SettingLine[] {
  const lines: SettingLine[] = [];
  for (const line of settings.ensemble?.configText.split("\n") ?? []) {
    const [key = "", value = ""] = line.split("=", 2);
    if (key === "version") continue;
    const toml = specOf(key)?.spec.toml ?? null;
    lines.push({
      key,
      toml: toml === null ? null : `${toml}${key.slice(key.indexOf(".") + 1)}`,
      value,
      origin: settings.origins.get(key) ?? settings.origins.get("zoolet.observe") ??
        settings.origins.get("dynamicConfigFile") ?? "default",
    });
  }
  return lines;
}

/** The same as a `zoo.cfg`, each line under a comment that tells its origin. Secrets are left out. */
export function formatSettings(settings: ServerSettings): string {
  const parts = describeSettings(settings).map(({ key, value, origin }) => {
    const port = key === "clientPort" || key === "secureClientPort";
    if (value === "" || value === "(set)" || (port && value === "-1")) {
      return `# ${origin}\n# ${key} is ${value === "(set)" ? "set and not shown" : "not set"}`;
    }
    return `# ${origin}\n${key}=${value.replaceAll("\\", "\\\\")}`;
  });
  return `${parts.join("\n")}\n`;
}

const useText: Readonly<Record<Use, string>> = {
  acts: "Acts.",
  ensemble: "Acts in an ensemble.",
  met: "Always done; accepted without a word.",
  later: "Not supported yet; a value that differs from the standard one is warned about.",
  guards: "Not supported yet; refused when it is on, because to leave it out would open a door.",
  guardsMembers:
    "Not supported yet; refused in an ensemble when it is on, because to leave it out would open a door.",
  java: "No meaning here; ignored with a warning.",
};

/** What a key does, in a few lines; null for one that nobody knows. */
export function explainKey(name: string): string | null {
  const byToml = [...allKeys].find(([, spec]) => spec.toml === name);
  const found = byToml === undefined ? specOf(name) : { name: byToml[0], spec: byToml[1] };
  if (found === null) return null;
  const { spec } = found;
  const lines = [found.name, `  ${spec.doc}`, `  ${useText[spec.use]}`];
  if (spec.toml !== null) lines.push(`  In TOML: ${spec.toml}`);
  if (spec.kind !== null) lines.push(`  Allowed: ${kinds[spec.kind].allowed}`);
  if (spec.standard !== "") lines.push(`  When not set: ${spec.standard}`);
  return lines.join("\n");
}

/** The reference that stands in `config/KEYS.md`. */
export function keysMarkdown(): string {
  const parts = [
    "# Every setting\n",
    "Made from the table that the server itself reads with (`src/server/config_keys.ts`). The first name is the one",
    "in a `zoo.cfg`, the second the one in TOML. Names of families end in a dot.\n",
  ];
  for (const use of ["acts", "ensemble", "met", "later", "guards", "guardsMembers", "java"] as const) {
    const rows = [...allKeys].filter(([, spec]) => spec.use === use);
    parts.push(`## ${headings[use]}\n`);
    const acting = use === "acts" || use === "ensemble";
    parts.push(
      acting ? "| key | TOML | when not set | allowed | what it does |" : "| key | standard | what it is |",
    );
    parts.push(acting ? "|---|---|---|---|---|" : "|---|---|---|");
    parts.push(...rows.map(([key, spec]) => acting ? actingRow(key, spec) : knownRow(key, spec)), "");
  }
  return parts.join("\n");
}

const headings: Readonly<Record<Use, string>> = {
  acts: "What acts",
  ensemble: "What acts in an ensemble",
  met: "Always done: accepted",
  later: "Not supported yet: warned about when it asks for something",
  guards: "Not supported yet, and refused when it asks for something",
  guardsMembers: "Not supported yet, and refused in an ensemble when it asks for something",
  java: "No meaning outside Java: ignored with a warning",
};

function actingRow(key: string, spec: KeySpec): string {
  const toml = spec.toml === null ? "" : `\`${spec.toml}\``;
  const allowed = spec.kind === null ? "" : kinds[spec.kind].allowed;
  return `| \`${key}\` | ${toml} | ${spec.standard} | ${allowed} | ${spec.doc} |`;
}

function knownRow(key: string, spec: KeySpec): string {
  return `| \`${key}\` | ${spec.standard} | ${spec.doc} |`;
}
