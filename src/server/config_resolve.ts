/**
 * Resolving: from what is written, in several places, to one checked value for each key.
 *
 * Names find their row of the table: with Java's prefix or without, in a family, or by their TOML
 * path. What finds none is warned about, with the nearest name there is; what is known and does
 * nothing here is warned about once. The last one written wins, as in Apache.
 *
 * Always true: a key has at most one value, with its place, and the value is of the key's kind.
 */
import { checkText, checkToml, kinds, shown } from "./config_kinds.ts";
import type { Grammar, KindName, KindValue } from "./config_kinds.ts";
import type { KeyName, KeySpec, KindOf } from "./config_keys.ts";
import { keyOfToml, nearest, specOf } from "./config_known.ts";
import { clip, type Place, placeText, type Report } from "./config_report.ts";
import type { Written } from "./config_source.ts";

/** More unknown names than this in one file are only counted: it is then no configuration at all. */
const unknownNamed = 20;

interface Entry {
  readonly spec: KeySpec;
  readonly written: Written;
}

export type ValueOf<K extends KeyName> = KindOf<K> extends KindName ? KindValue<KindOf<K>> : never;

export class Resolved {
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(entries: ReadonlyMap<string, Entry>, values: ReadonlyMap<string, unknown>) {
    this.#entries = entries;
    this.#values = values;
  }

  /** The checked value, or undefined when it was not set or was wrong (and then a problem was told). */
  get<K extends KeyName>(key: K): ValueOf<K> | undefined {
    // The map holds what the schema of this very key's kind has put out.
    return this.#values.get(key) as ValueOf<K> | undefined;
  }

  /** Whether somebody wrote it, right or wrong. */
  isSet(key: KeyName): boolean {
    return this.#entries.has(key);
  }

  written(key: string): Written | null {
    return this.#entries.get(key)?.written ?? null;
  }

  /** Where it stands, or the given place for what nobody wrote. */
  placeOf(key: KeyName, otherwise: Place): Place {
    return this.#entries.get(key)?.written ?? otherwise;
  }

  /** The members of a family, `server.1` and on, in the order written. */
  family(prefix: string): Written[] {
    // `server.principal` is a key of its own and no member of `server.`.
    const family = specOf(prefix)?.spec;
    return [...this.#entries].filter(([name, { spec }]) => spec === family && name !== prefix)
      .map(([name, { written }]) => ({ ...written, name }));
  }

  origins(): Map<string, string> {
    const origins = new Map<string, string>();
    for (const [key, { written }] of this.#entries) {
      origins.set(key, written.via === "preset" ? "preset" : placeText(written));
    }
    return origins;
  }
}

/** `written` goes from the weakest source to the strongest. */
export function resolve(written: readonly Written[], report: Report): Resolved {
  const entries = new Map<string, Entry>();
  const unknown: Written[] = [];
  for (const one of written) {
    const name = nameOf(one, unknown, report);
    if (name === null) continue;
    const found = specOf(name);
    if (found === null) continue;
    const before = entries.get(name);
    if (before !== undefined && isFile(one) && isFile(before.written) && before.written.value !== one.value) {
      report.warn(one, `${clip(name)} is given twice, first on line ${before.written.line}; this one counts`);
    }
    entries.set(name, { spec: found.spec, written: one });
  }
  tellUnknown(unknown, report);

  const values = new Map<string, unknown>();
  for (const [name, { spec, written: one }] of entries) {
    const value = check(name, spec, one, report);
    if (value !== undefined) values.set(name, value);
    tellUse(name, spec, one, value, report);
  }
  return new Resolved(entries, values);
}

function isFile(written: Written): boolean {
  return written.via === "classic" || written.via === "toml";
}

/** The table's name for what somebody wrote, or null when it goes no further. */
function nameOf(one: Written, unknown: Written[], report: Report): string | null {
  switch (one.via) {
    case "toml": {
      const key = keyOfToml(one.name);
      if (key === null) unknown.push(one);
      return key;
    }
    case "classic":
      return classicName(one, unknown, report);
    case "jvm":
      return jvmName(one, unknown, report);
    case "flag":
    case "preset":
      if (specOf(one.name) === null) unknown.push(one);
      return one.name;
  }
}

function classicName(one: Written, unknown: Written[], report: Report): string | null {
  const bare = withoutPrefix(one.name);
  const found = specOf(bare);
  if (found === null) {
    unknown.push(one);
    return null;
  }
  if (bare !== one.name) {
    const text = `${clip(one.name)} is read as ${
      clip(bare)
    }; Apache would ignore it with the zookeeper. in front`;
    report.warn(one, text);
  } else if (found.spec.bare === true && found.spec.use === "acts") {
    report.warn(one, `${bare} is honoured here; Apache ignores it in the file and wants -D${bare}=`);
  }
  return bare;
}

function jvmName(one: Written, unknown: Written[], report: Report): string | null {
  const bare = withoutPrefix(one.name);
  const prefixed = bare !== one.name;
  const found = specOf(bare);
  if (found === null) {
    // Any other property is some Java library's, and the caller has counted it.
    if (prefixed) unknown.push({ ...one, name: bare });
    return null;
  }
  const { spec } = found;
  const own = spec.grammar === "own" || bare === "fsync.warningthresholdms";
  if (spec.grammar === "core") {
    report.warn(
      one,
      `-D${clip(one.name)} is ignored, as in Apache: ${clip(bare)} is read from the file alone`,
    );
    return null;
  }
  if (!prefixed && spec.bare !== true && !own) {
    report.warn(one, `-D${clip(one.name)} is ignored, as in Apache: the property is zookeeper.${clip(bare)}`);
    return null;
  }
  if (prefixed && spec.bare === true) {
    report.warn(
      one,
      `-D${clip(one.name)} is read as ${bare}; Apache would ignore it with the zookeeper. in front`,
    );
  }
  return bare;
}

function withoutPrefix(name: string): string {
  let bare = name;
  // Twice is as often as anybody has been seen to write it.
  for (let times = 0; times < 2 && bare.startsWith("zookeeper."); times += 1) {
    bare = bare.slice("zookeeper.".length);
  }
  return bare;
}

function tellUnknown(unknown: readonly Written[], report: Report): void {
  for (const one of unknown.slice(0, unknownNamed)) {
    const near = nearest(
      one.via === "classic" ? withoutPrefix(one.name) : one.name,
      one.via === "toml" ? "toml" : "classic",
    );
    const hint = near === null ? "" : `; did you mean ${near}?`;
    report.warn(one, `${clip(one.name)} is not a known setting and is ignored${hint}`);
  }
  const first = unknown[unknownNamed];
  if (first !== undefined) {
    report.warn(
      first,
      `and ${unknown.length - unknownNamed} more that are not known; is this a configuration?`,
    );
  }
}

function check(name: string, spec: KeySpec, one: Written, report: Report): unknown {
  if (spec.kind === null) return undefined;
  const grammar: Grammar = one.via === "flag" || one.via === "preset" ? "core" : spec.grammar;
  const result = one.via === "toml"
    ? checkToml(spec.kind, name, one.value)
    : checkText(spec.kind, name, grammar, String(one.value));
  if (result.kind === "value") return result.value;
  const found = spec.secret === true ? "(not shown)" : shown(one.value);
  // For a passed-through number or boolean Apache says nothing and takes the default.
  const shape = kinds[spec.kind].shape;
  const silent = spec.grammar !== "core" && (shape === "integer" || shape === "boolean");
  report.problem(one, name, found, result.allowed, silent ? "" : result.sentence);
  return undefined;
}

function tellUse(name: string, spec: KeySpec, one: Written, value: unknown, report: Report): void {
  const same = String(one.value).toLowerCase() === spec.standard.toLowerCase();
  const shownName = clip(name);
  switch (spec.use) {
    case "acts":
    case "ensemble":
    case "met":
      return;
    case "java":
      report.warn(one, `${shownName} has no meaning here and is ignored: ${spec.doc}`);
      return;
    case "later":
      if (!same) report.warn(one, `${shownName} is not supported yet and is ignored: ${spec.doc}`);
      return;
    case "guardsMembers":
      // Told where it is known whether there are others: config_ensemble.
      return;
    case "guards":
      if (value === true) {
        const allowed =
          "false: it guards something, is not supported yet, and must not be left out unnoticed";
        report.problem(one, shownName, "true", allowed);
      }
      return;
  }
}

/** Names that are JVM properties of ours, so that the caller can tell them from other libraries'. */
export function isOurProperty(name: string): boolean {
  return name.startsWith("zookeeper.") || specOf(name) !== null;
}
