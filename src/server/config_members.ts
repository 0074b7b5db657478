/**
 * Members, gathered: from `server.N` lines of the file, from the file that `dynamicConfigFile` names,
 * or from `zoolet.observe`; and which of them this server is.
 *
 * Always true: a member is in the list once, and a line that could not be read is a problem told.
 */
import { trimBlanks } from "../core/base/blanks.ts";
import { type Member, type ParsedMember, parseMember, parseObserved } from "./config_membership.ts";
import { clip, type Place, type Report } from "./config_report.ts";
import type { Resolved } from "./config_resolve.ts";
import { classicSource, type ConfigFiles, readBounded, type Written } from "./config_source.ts";

export interface Members {
  readonly members: readonly { readonly member: Member; readonly written: Written }[];
  /** `group.N` and `weight.N`. */
  readonly groups: readonly Written[];
  readonly weights: readonly Written[];
  /** Lines, readable or not. */
  readonly count: number;
  /** Some line could not be read. */
  readonly refused: boolean;
  /** The hexadecimal ending of the dynamic file's name; 0 without one. */
  readonly version: number;
}

const linesTold = 5;

export function gatherMembers(
  files: ConfigFiles,
  resolved: Resolved,
  whole: Place,
  report: Report,
): Members {
  const dynamic = dynamicLines(files, resolved, whole, report);
  const lines = [...resolved.family("server."), ...dynamic.filter(({ name }) => name.startsWith("server."))];
  const multiAddress = resolved.get("multiAddress.enabled") ?? false;
  const gathered = new Map<number, { member: Member; written: Written }>();
  let refused = false;
  const add = (written: Written, name: string, found: string, parsed: ParsedMember): void => {
    if (parsed.kind === "refused") {
      refused = true;
      report.problem(written, name, found, parsed.allowed, parsed.sentence);
      return;
    }
    const { member } = parsed;
    const before = gathered.get(member.id);
    if (before === undefined) gathered.set(member.id, { member, written });
    else {
      refused = true;
      report.problem(written, name, found, `a number of its own; ${before.written.name} has ${member.id}`);
    }
  };
  for (const written of lines) {
    const value = String(written.value);
    add(written, written.name, value, parseMember(written.name, value, multiAddress));
  }
  const observed = resolved.get("zoolet.observe") ?? [];
  const observePlace = resolved.written("zoolet.observe");
  if (observePlace !== null && lines.length > 0) {
    refused = true;
    report.problem(
      observePlace,
      "zoolet.observe",
      "servers in two places",
      `either zoolet.observe or ${lines[0]?.name}, not both`,
    );
  } else if (observePlace !== null) {
    for (const [i, text] of observed.entries()) {
      add(observePlace, "zoolet.observe", text, parseObserved(text, i + 1));
    }
  }
  return {
    members: [...gathered.values()].sort((a, b) => a.member.id - b.member.id),
    groups: [...resolved.family("group."), ...dynamic.filter(({ name }) => name.startsWith("group."))],
    weights: [...resolved.family("weight."), ...dynamic.filter(({ name }) => name.startsWith("weight."))],
    count: lines.length + observed.length,
    refused,
    version: versionOf(resolved.get("dynamicConfigFile") ?? ""),
  };
}

/** `zoo.cfg.dynamic.100000000`; a name with another ending, or an ending too large to count with, is version 0. */
function versionOf(path: string): number {
  const ending = /\.([0-9a-fA-F]{1,13})$/.exec(path)?.[1];
  return ending === undefined ? 0 : Number.parseInt(ending, 16);
}

/** Members from the file that `dynamicConfigFile` names. It is only read, never written. */
function dynamicLines(files: ConfigFiles, resolved: Resolved, whole: Place, report: Report): Written[] {
  const path = resolved.get("dynamicConfigFile");
  if (path === undefined) return [];
  const here = ["server.", "group.", "weight."].flatMap((family) => resolved.family(family));
  for (const written of here.slice(0, linesTold)) {
    const sentence = `parameter: ${written.name} must be in a separate dynamic config file`;
    report.problem(
      written,
      written.name,
      String(written.value),
      "no members here: dynamicConfigFile has them",
      sentence,
    );
  }
  const bytes = readBounded(files, path, 1 << 20, "dynamicConfigFile", report);
  if (bytes === null) return [];
  if (bytes === "missing") {
    const place = resolved.placeOf("dynamicConfigFile", whole);
    report.problem(place, "dynamicConfigFile", path, "a file that is there", `Error processing ${path}`);
    return [];
  }
  const { written } = classicSource(path, bytes, report);
  const last = new Map<string, Written>();
  for (const one of written) {
    if (/^(server|group|weight)\./.test(one.name)) {
      last.set(one.name, one);
      continue;
    }
    const sentence = one.name === "version"
      ? "dynamic file shouldn't have version inside"
      : `Unrecognised parameter: ${clip(one.name)}`;
    report.problem(one, one.name, String(one.value), "server.N, group.N and weight.N alone", sentence);
  }
  return [...last.values()];
}

/** `<dataDir>/myid`: the first line, a number. Null when there is no such file. */
export function readMyid(files: ConfigFiles, dataDir: string, report: Report): number | null {
  const path = `${dataDir.replace(/[/\\]+$/, "")}/myid`;
  const bytes = readBounded(files, path, 4096, "myid", report);
  if (bytes === null || bytes === "missing") return null;
  const place = { file: path, line: 1 };
  const text = new TextDecoder().decode(bytes);
  const first = text.split("\n", 1)[0] ?? "";
  const trimmed = trimBlanks(first);
  if (!/^[+-]?\d{1,19}$/.test(trimmed)) {
    const sentence = `serverid ${text === "" ? "null" : clip(trimmed)} is not a number`;
    report.problem(place, "myid", trimmed, "this server's number, as in 1", sentence);
    return null;
  }
  const id = Number(trimmed);
  if (id < 0 || !Number.isSafeInteger(id)) {
    report.problem(place, "myid", trimmed, `a number from 0 to ${Number.MAX_SAFE_INTEGER}`);
    return null;
  }
  if (trimmed !== first) report.warn(place, "blanks around the number are dropped; Apache would refuse them");
  return id;
}
