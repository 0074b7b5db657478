/**
 * The ensemble that a configuration describes, or that there is none.
 *
 * ```
 *  no server.N line, or one            → alone; the one line gives the client port
 *  one, and standaloneEnabled=false    → an ensemble of one
 *  two and more                        → an ensemble
 *  zoolet.observe                      → an observer of one, without a line of its own
 * ```
 *
 * What asks for a protection between members that is not there stops the start, in an ensemble alone.
 *
 * Always true: where there is no problem, `client` and `id` agree with the rest of the file, and
 * `ensemble` is null or has at least one voter.
 */
import { gatherMembers, type Members, readMyid } from "./config_members.ts";
import { type Member, shownAddress } from "./config_membership.ts";
import { keys } from "./config_keys.ts";
import { configTextOf, quorumOf } from "./config_quorum.ts";
import type { Place, Report } from "./config_report.ts";
import type { Resolved } from "./config_resolve.ts";
import type { ConfigFiles, Written } from "./config_source.ts";
import type { EnsembleSettings } from "./config_types.ts";

export interface Membership {
  readonly client: Member["client"];
  readonly secureClient: Member["client"];
  /** Of the `server.N` line that gave them. */
  readonly place: Place | null;
  /** From `zoolet.serverId`, from `myid`, or from the one line; null when nobody gave one. */
  readonly id: number | null;
  /** Why there is no client port from here, for a message; "" when there was nothing to say. */
  readonly reason: string;
  readonly ensemble: EnsembleSettings | null;
}

const membersMax = 255;
/** Limits in ticks, as Apache's sample file has them. */
const initLimitUsual = 10;
const syncLimitUsual = 5;

export function ensembleOf(
  files: ConfigFiles,
  resolved: Resolved,
  from: { readonly dataDir: string; readonly whole: Place; readonly chance: number },
  report: Report,
): Membership {
  const { dataDir, whole } = from;
  const myid = dataDir === "" ? null : readMyid(files, dataDir, report);
  const given = resolved.get("zoolet.serverId") ?? null;
  if (given !== null && myid !== null && given !== myid) {
    report.warn(
      resolved.placeOf("zoolet.serverId", whole),
      `zoolet.serverId is ${given} and wins over the file myid with ${myid}`,
    );
  }
  const id = given ?? myid;
  saslAgrees(resolved, whole, report);
  const gathered = gatherMembers(files, resolved, whole, report);
  const voters = gathered.members.filter(({ member }) => member.role === "participant").length;
  const mayBeAlone = resolved.get("standaloneEnabled") ?? true;
  const nobody: Membership = {
    client: null,
    secureClient: null,
    place: null,
    id,
    reason: "",
    ensemble: null,
  };

  const several = gathered.count > 1 || resolved.isSet("zoolet.observe") || (!mayBeAlone && voters === 1);
  if (several) return inEnsemble(resolved, gathered, voters, { id, whole, chance: from.chance }, report);

  if (!mayBeAlone && voters === 0 && !gathered.refused) {
    report.problem(
      resolved.placeOf("standaloneEnabled", whole),
      "standaloneEnabled",
      "false without a server.N line",
      "true, or one server.N line",
      "standaloneEnabled = false then number of participants should be >0",
    );
  }
  const only = gathered.members[0];
  if (only === undefined) return { ...nobody, reason: gathered.refused ? "ensemble" : "" };
  const { member, written } = only;
  if (member.role === "observer") {
    const sentence = "Observers w/o participants is an invalid configuration";
    report.problem(written, written.name, "an observer alone", "a participant", sentence);
    return nobody;
  }
  if (id !== null && id !== member.id) {
    const reason = `myid is ${id}, so the client port of ${written.name} is not this server's`;
    report.warn(written, reason);
    return { ...nobody, reason };
  }
  if (id === null) report.note(written, `there is no myid file; this is taken to be ${written.name}`);
  sameAddress(resolved, member, written, report);
  return {
    ...nobody,
    client: member.client,
    secureClient: member.secureClient,
    place: written,
    id: id ?? member.id,
    reason: member.client === null ? `${written.name} has no ;clientPort` : "",
  };
}

function inEnsemble(
  resolved: Resolved,
  gathered: Members,
  voters: number,
  from: { readonly id: number | null; readonly whole: Place; readonly chance: number },
  report: Report,
): Membership {
  const { whole } = from;
  const none: Membership = {
    client: null,
    secureClient: null,
    place: null,
    id: from.id,
    reason: "ensemble",
    ensemble: null,
  };
  guarded(resolved, whole, report);
  const initLimit = limitOf(resolved, "initLimit", initLimitUsual, whole, report);
  const syncLimit = limitOf(resolved, "syncLimit", syncLimitUsual, whole, report);
  const first = gathered.members[0]?.written ?? whole;
  if (gathered.members.length > membersMax) {
    report.problem(first, "server.N", `${gathered.members.length} servers`, `${membersMax} servers at most`);
    return none;
  }
  if (gathered.refused) return none;
  if (!enoughVoters(resolved, gathered, voters, first, report)) return none;

  const self = whoAmI(resolved, gathered, from, report);
  if (self === null) return none;
  const described = quorumOf(gathered, report);
  if (described === null) return none;
  const { member, written } = self;
  if (member !== null && written !== null) sameAddress(resolved, member, written, report);
  const numberOf = (key: NumberKey): number => resolved.get(key) ?? Number(keys[key].standard);
  const booleanOf = (key: BooleanKey): boolean => resolved.get(key) ?? false;
  return {
    client: member?.client ?? null,
    secureClient: member?.secureClient ?? null,
    place: written,
    id: self.sid,
    reason: "ensemble",
    ensemble: {
      sid: self.sid,
      observer: member === null || member.role === "observer",
      members: gathered.members.map(({ member: { id, role, addresses } }) => ({ sid: id, role, addresses })),
      quorum: described.quorum,
      configText: configTextOf(gathered, described.lines),
      configVersion: gathered.version,
      initLimit,
      syncLimit,
      connectToLeaderLimit: numberOf("connectToLearnerMasterLimit"),
      electionConnectMsMax: numberOf("cnxTimeout"),
      bindRetries: numberOf("electionPortBindRetry"),
      listenOnAllAddresses: booleanOf("quorumListenOnAllIPs"),
      multiAddress: booleanOf("multiAddress.enabled"),
      leaderServes: resolved.get("leaderServes") !== "no",
      observerMasterPort: resolved.get("observerMasterPort") ?? -1,
      observerElectionDelayMs: numberOf("observer.election.DelayMs"),
      snapSyncsMax: numberOf("leader.maxConcurrentSnapSyncs"),
      diffSyncsMax: numberOf("leader.maxConcurrentDiffSyncs"),
      snapshotSizeFactor: numberOf("snapshotSizeFactor"),
      historyTxnsMin: numberOf("commitLogCount"),
      tcpKeepAlive: booleanOf("tcpKeepAlive"),
    },
  };
}

type NumberKey =
  | "connectToLearnerMasterLimit"
  | "cnxTimeout"
  | "electionPortBindRetry"
  | "observer.election.DelayMs"
  | "leader.maxConcurrentSnapSyncs"
  | "leader.maxConcurrentDiffSyncs"
  | "snapshotSizeFactor"
  | "commitLogCount";
type BooleanKey = "quorumListenOnAllIPs" | "multiAddress.enabled" | "tcpKeepAlive";

/** Apache has no standard value; a file that is ours to design has. */
function limitOf(
  resolved: Resolved,
  key: "initLimit" | "syncLimit",
  usual: number,
  whole: Place,
  report: Report,
): number {
  const ticks = resolved.get(key);
  if (ticks !== undefined && ticks > 0) return ticks;
  // Wrong, and told.
  if (ticks === undefined && resolved.isSet(key)) return usual;
  const toml = whole.file.toLowerCase().endsWith(".toml");
  if (ticks === undefined && (toml || resolved.isSet("zoolet.observe"))) return usual;
  const found = ticks === undefined ? "" : "0";
  const place = resolved.placeOf(key, whole);
  report.problem(place, key, found, "a number of ticks, as in 10", `${key} is not set`);
  return usual;
}

function enoughVoters(
  resolved: Resolved,
  gathered: Members,
  voters: number,
  first: Place,
  report: Report,
): boolean {
  const mayBeAlone = resolved.get("standaloneEnabled") ?? true;
  // Who only observes takes the others' word for what they are.
  const observes = resolved.isSet("zoolet.observe");
  if (voters === 0) {
    const sentence = "Observers w/o participants is an invalid configuration";
    report.problem(first, "server.N", "0 participants", "two participants or more", sentence);
    return false;
  }
  if (voters === 1 && mayBeAlone && !observes) {
    const sentence = "Observers w/o quorum is an invalid configuration";
    const allowed = "two participants or more, or standaloneEnabled=false";
    report.problem(first, "server.N", "1 participant", allowed, sentence);
    return false;
  }
  if (observes) return true;
  if (voters <= 2) report.warn(first, "No server failure will be tolerated. You need at least 3 servers.");
  else if (voters % 2 === 0) {
    report.warn(first, "Non-optimal configuration, consider an odd number of servers.");
  }
  return gathered.members.length > 0;
}

interface Self {
  readonly sid: number;
  /** Null for an observer without a line of its own. */
  readonly member: Member | null;
  readonly written: Written | null;
}

function whoAmI(
  resolved: Resolved,
  gathered: Members,
  from: { readonly id: number | null; readonly whole: Place; readonly chance: number },
  report: Report,
): Self | null {
  const { id, whole } = from;
  const observes = resolved.isSet("zoolet.observe");
  const role = resolved.get("peerType");
  const largest = gathered.members.at(-1)?.member.id ?? 0;
  if (id === null) {
    if (observes) return { sid: chosenSid(largest, from.chance), member: null, written: null };
    const noDirectory = resolved.get("dataDir") === undefined && resolved.get("zoolet.storage") !== "memory";
    if (noDirectory || resolved.isSet("zoolet.serverId")) return null;
    if (report.problems.some(({ key }) => key === "myid")) return null;
    const allowed = "the file myid in dataDir with this server's number, or zoolet.serverId";
    report.problem(whole, "myid", "", allowed, "myid file is missing");
    return null;
  }
  const own = gathered.members.find(({ member }) => member.id === id);
  const place = resolved.placeOf("zoolet.serverId", whole);
  const key = resolved.isSet("zoolet.serverId") ? "zoolet.serverId" : "myid";
  if (own === undefined || observes) {
    if (role !== "observer" && !observes) {
      report.problem(
        place,
        key,
        String(id),
        "the N of one of the server.N lines, or peerType=observer",
        `My id ${id} not in the peer list`,
      );
      return null;
    }
    if (id <= largest) {
      const allowed =
        `a number above ${largest}: of two servers the one with the larger number connects, and ` +
        "nobody knows where to find an observer without a line of its own";
      report.problem(place, key, String(id), allowed);
      return null;
    }
    report.note(place, `${id} has no server.N line; it observes without one`);
    return { sid: id, member: null, written: null };
  }
  if (role !== undefined && role !== own.member.role) {
    const list = own.member.role.toUpperCase();
    report.warn(
      resolved.placeOf("peerType", whole),
      `Peer type from servers list (${list}) doesn't match peerType (${role.toUpperCase()}). Defaulting to servers list.`,
    );
  }
  return { sid: id, ...own };
}

/**
 * For an observer that nobody gave a number: above all members, and very likely its own. The low 8
 * bits enter session ids, where 255 would mean a TTL node.
 */
function chosenSid(largest: number, chance: number): number {
  const above = (Math.floor(largest / 2 ** 32) + 1) * 2 ** 32;
  const sid = above + chance;
  return sid % 256 === 255 ? sid - 1 : sid;
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

/** Whoever asks for TLS or for passwords between members must not get an ensemble without. */
function guarded(resolved: Resolved, whole: Place, report: Report): void {
  for (const key of ["sslQuorum", "portUnification", "quorum.auth.enableSasl"] as const) {
    if (resolved.get(key) !== true) continue;
    const allowed =
      "false: members talk in plaintext and without passwords here, so keep their ports in a network of their own";
    report.problem(resolved.placeOf(key, whole), key, "true", allowed);
  }
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
