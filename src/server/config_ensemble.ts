/**
 * The ensemble as a configuration names it, judged for a server that stands alone.
 *
 * No `server.N` line, or one: standalone, and the one line gives the client port. Two and more: this
 * version says that it cannot, beside everything else that is wrong, so a file can be got right now.
 *
 * Always true: where there is no problem, `client` and `id` agree with the rest of the file.
 */
import { type Member, parseMember, shownAddress } from "./config_membership.ts";
import { clip, type Place, type Report } from "./config_report.ts";
import type { Resolved } from "./config_resolve.ts";
import { classicSource, type ConfigFiles, readBounded, type Written } from "./config_source.ts";

export interface Membership {
  readonly client: Member["client"];
  readonly secureClient: Member["client"];
  /** Of the `server.N` line that gave them. */
  readonly place: Place | null;
  /** From `myid` or from the one line; null when nobody gave one. */
  readonly id: number | null;
  /** Why there is no client port from here, for a message; "" when there was nothing to say. */
  readonly reason: string;
}

const membersShown = 5;

export function ensembleOf(
  files: ConfigFiles,
  resolved: Resolved,
  dataDir: string,
  whole: Place,
  report: Report,
): Membership {
  const id = dataDir === "" ? null : readMyid(files, dataDir, report);
  saslAgrees(resolved, whole, report);
  const lines = [...resolved.family("server."), ...dynamicLines(files, resolved, whole, report)];
  const parsed = membersOf(lines, resolved.get("multiAddress.enabled") ?? false, report);
  const voters = parsed.members.filter(({ member }) => member.role === "participant").length;
  const nobody: Membership = { client: null, secureClient: null, place: null, id, reason: "" };

  if (lines.length > 1) {
    severalServers(resolved, parsed, voters, id, whole, report);
    return { ...nobody, reason: "ensemble" };
  }
  if (resolved.get("standaloneEnabled") === false && voters === 0 && !parsed.refused) {
    report.problem(
      resolved.placeOf("standaloneEnabled", whole),
      "standaloneEnabled",
      "false without a server.N line",
      "true, or one server.N line",
      "standaloneEnabled = false then number of participants should be >0",
    );
  }
  const only = parsed.members[0];
  if (only === undefined) return { ...nobody, reason: parsed.refused ? "ensemble" : "" };
  const { member, written } = only;
  if (member.role === "observer") {
    const sentence = "Observers w/o participants is an invalid configuration";
    report.problem(written, written.name, "an observer alone", "a participant", sentence);
    return nobody;
  }
  if (resolved.get("standaloneEnabled") === false) {
    const place = resolved.placeOf("standaloneEnabled", whole);
    report.warn(place, "one server is run as standalone until ensembles come with a later version");
  }
  if (id !== null && id !== member.id) {
    const reason = `myid is ${id}, so the client port of ${written.name} is not this server's`;
    report.warn(written, reason);
    return { ...nobody, reason };
  }
  if (id === null) report.note(written, `there is no myid file; this is taken to be ${written.name}`);
  sameAddress(resolved, member, written, report);
  return {
    client: member.client,
    secureClient: member.secureClient,
    place: written,
    id: id ?? member.id,
    reason: member.client === null ? `${written.name} has no ;clientPort` : "",
  };
}

interface Members {
  readonly members: readonly { readonly member: Member; readonly written: Written }[];
  readonly refused: boolean;
}

function membersOf(lines: readonly Written[], multiAddress: boolean, report: Report): Members {
  const members: { member: Member; written: Written }[] = [];
  let refused = false;
  for (const written of lines) {
    const value = String(written.value);
    const parsed = parseMember(written.name, value, multiAddress);
    if (parsed.kind === "member") members.push({ member: parsed.member, written });
    else {
      refused = true;
      report.problem(written, written.name, value, parsed.allowed, parsed.sentence);
    }
  }
  return { members, refused };
}

function severalServers(
  resolved: Resolved,
  parsed: Members,
  voters: number,
  id: number | null,
  whole: Place,
  report: Report,
): void {
  const first = parsed.members[0]?.written ?? whole;
  const names = parsed.members.slice(0, membersShown).map(({ written }) => written.name);
  const more = parsed.members.length > membersShown
    ? `, and ${parsed.members.length - membersShown} more`
    : "";
  report.problem(
    first,
    "server.N",
    `${clip(names.join(", "))}${more}`,
    "at most one server: this version runs standalone, ensembles come with a later one",
  );
  if (parsed.refused) return;
  if (voters < 2) {
    const sentence = voters === 0
      ? "Observers w/o participants is an invalid configuration"
      : "Observers w/o quorum is an invalid configuration";
    report.problem(first, "server.N", `${voters} participants`, "two participants or more", sentence);
  }
  for (const key of ["initLimit", "syncLimit"] as const) {
    const ticks = resolved.get(key);
    if (ticks !== undefined && ticks > 0) continue;
    if (ticks === undefined && resolved.isSet(key)) continue;
    const found = ticks === undefined ? "" : "0";
    report.problem(
      resolved.placeOf(key, whole),
      key,
      found,
      "a number of ticks, as in 10",
      `${key} is not set`,
    );
  }
  if (id === null) {
    if (resolved.get("dataDir") === undefined || resolved.isSet("zoolet.serverId")) return;
    if (report.problems.some(({ key }) => key === "myid")) return;
    report.problem(
      whole,
      "myid",
      "",
      "the file myid in dataDir with this server's number",
      "myid file is missing",
    );
  } else if (!parsed.members.some(({ member }) => member.id === id)) {
    report.problem(
      whole,
      "myid",
      String(id),
      "the N of one of the server.N lines",
      `My id ${id} not in the peer list`,
    );
  }
}

/** `clientPort` and the `;port` of the line may both be there, but not differ. */
function sameAddress(resolved: Resolved, member: Member, written: Written, report: Report): void {
  const port = resolved.get("clientPort");
  // A flag is there to override the file, this line of it too.
  if (member.client === null || port === undefined || resolved.written("clientPort")?.via === "flag") return;
  const address = { host: resolved.get("clientPortAddress") ?? "0.0.0.0", port };
  if (address.port === member.client.port && address.host === member.client.host) return;
  const here = shownAddress(address);
  const there = shownAddress(member.client);
  report.problem(
    written,
    written.name,
    there,
    `the address of clientPort, ${here}, or no clientPort at all`,
    `client address for this server (id = ${member.id}) in static config file is ${here} is different from ` +
      `client address found in dynamic file: ${there}`,
  );
}

/** Members from the file that `dynamicConfigFile` names. It is only read, never written. */
function dynamicLines(files: ConfigFiles, resolved: Resolved, whole: Place, report: Report): Written[] {
  const path = resolved.get("dynamicConfigFile");
  if (path === undefined) return [];
  for (const written of resolved.family("server.").slice(0, membersShown)) {
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
  return written.filter((one) => {
    if (/^server\./.test(one.name)) return true;
    if (/^(group|weight)/.test(one.name)) return false;
    const sentence = one.name === "version"
      ? "dynamic file shouldn't have version inside"
      : `Unrecognised parameter: ${clip(one.name)}`;
    report.problem(one, one.name, String(one.value), "server.N, group.N and weight.N alone", sentence);
    return false;
  });
}

function saslAgrees(resolved: Resolved, whole: Place, report: Report): void {
  const enabled = resolved.get("quorum.auth.enableSasl") ?? false;
  const learner = resolved.get("quorum.auth.learnerRequireSasl") ?? false;
  const needs = (
    key: "quorum.auth.learnerRequireSasl" | "quorum.auth.serverRequireSasl",
    other: string,
  ): void => {
    const sentence = `${other} is disabled, so cannot enable ${key}`;
    report.problem(resolved.placeOf(key, whole), key, "true", `false, or ${other}=true with it`, sentence);
  };
  if (learner && !enabled) needs("quorum.auth.learnerRequireSasl", "quorum.auth.enableSasl");
  if (resolved.get("quorum.auth.serverRequireSasl") !== true) return;
  if (!enabled) needs("quorum.auth.serverRequireSasl", "quorum.auth.enableSasl");
  else if (!learner) needs("quorum.auth.serverRequireSasl", "quorum.auth.learnerRequireSasl");
}

/** `<dataDir>/myid`: the first line, a number. Null when there is no such file. */
function readMyid(files: ConfigFiles, dataDir: string, report: Report): number | null {
  const path = `${dataDir.replace(/[/\\]+$/, "")}/myid`;
  const bytes = readBounded(files, path, 4096, "myid", report);
  if (bytes === null || bytes === "missing") return null;
  const place = { file: path, line: 1 };
  const text = new TextDecoder().decode(bytes);
  const first = text.split("\n", 1)[0] ?? "";
  const trimmed = first.trim();
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
