/**
 * Settings: from resolved values to the one record the server runs with.
 *
 * Here the keys meet: what is derived from another (session timeouts from ticks), what contradicts
 * another (an address without its port), and where this server differs from Apache on purpose (TTL
 * nodes on, the admin endpoint on loopback).
 *
 * Always true: with no problem in the report the settings are complete and agree with each other.
 */
import * as limits from "../core/base/limits.ts";
import { systemCodeOf } from "../runtime/ports.ts";
import { keys } from "./config_keys.ts";
import { ensembleOf, type Membership } from "./config_ensemble.ts";
import { type Place, placeText, type Report } from "./config_report.ts";
import type { Resolved } from "./config_resolve.ts";
import type { ConfigFiles } from "./config_source.ts";
import { tlsOf } from "./config_tls.ts";
import type { EnsembleSettings, ServerSettings } from "./config_types.ts";

/** Session ids carry the low 8 bits of the id, and 0xff marks a TTL node. server-semantics 1.4. */
const serverIdExtendedMax = 254;

const clientPortUsual = 2181;

export const fourLetterWordsKnown: readonly string[] = [
  ..."conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs".split(" "),
];

/** `chance`: 32 bits, of which an observer that has no number makes itself one. */
export function buildSettings(
  files: ConfigFiles,
  from: { readonly source: string; readonly sourceText: string | null; readonly chance: number },
  resolved: Resolved,
  report: Report,
): ServerSettings {
  const whole: Place = { file: from.source, line: 0 };
  const origins = resolved.origins();
  const observes = resolved.isSet("zoolet.observe");
  const inMemory = resolved.get("zoolet.storage") === "memory" ||
    (observes && !resolved.isSet("zoolet.storage") && !resolved.isSet("dataDir"));
  const dirs = directories(files, resolved, inMemory, whole, report);
  const membership = ensembleOf(
    files,
    resolved,
    { dataDir: dirs.dataDir, whole, chance: from.chance },
    report,
  );
  const storageKind = storageOf(resolved, inMemory, membership, whole, report);
  const standard = <K extends keyof typeof keys>(key: K): string => keys[key].standard;
  const numberOf = (key: keyof typeof keys, value: number | undefined): number =>
    value ?? Number(standard(key));

  const secureClientPort = resolved.get("secureClientPort") ?? membership.secureClient?.port ?? -1;
  // Whoever only names an ensemble gets the port that its clients try first.
  const clientPortElse = observes && secureClientPort === -1 ? clientPortUsual : -1;
  const clientPort = resolved.get("clientPort") ?? membership.client?.port ?? clientPortElse;
  const clientHost = membership.client?.host ?? null;
  if (!resolved.isSet("clientPort") && membership.client !== null) {
    origins.set("clientPort", placeText(membership.place ?? whole));
  }
  const { ensemble } = membership;
  actingWord(resolved, "leaderServes", "no", report);
  if (ensemble !== null && clientPort === -1 && secureClientPort === -1) {
    report.warn(whole, "clientPort is not set: this member serves no clients");
  }
  portsAgree(resolved, { clientPort, secureClientPort, reason: membership.reason }, whole, report);

  const tickMs = numberOf("tickTime", resolved.get("tickTime"));
  const frameBytesMax = numberOf("jute.maxbuffer", resolved.get("jute.maxbuffer"));
  const minGiven = resolved.get("minSessionTimeout") ?? -1;
  const maxGiven = resolved.get("maxSessionTimeout") ?? -1;
  const sessionTimeoutMsMin = minGiven === -1 ? ticksMs(tickMs, limits.sessionTimeoutTicksMin) : minGiven;
  const sessionTimeoutMsMax = maxGiven === -1 ? ticksMs(tickMs, limits.sessionTimeoutTicksMax) : maxGiven;
  if (sessionTimeoutMsMin > sessionTimeoutMsMax) {
    const key = minGiven === -1 ? "maxSessionTimeout" : "minSessionTimeout";
    report.problem(
      resolved.placeOf(key, whole),
      key,
      `${sessionTimeoutMsMin} ms to ${sessionTimeoutMsMax} ms`,
      "a shortest timeout that is not above the longest (they are 2 and 20 ticks when not set)",
      "minSessionTimeout must not be larger than maxSessionTimeout",
    );
  }

  const tls = secureClientPort === -1 ? null : tlsOf(files, resolved, whole, report);
  if (secureClientPort === -1 && resolved.isSet("ssl.keyStore.location")) {
    const place = resolved.placeOf("ssl.keyStore.location", whole);
    report.warn(place, "a certificate is set but no secureClientPort, so nothing uses it");
  }
  const serverId = membership.id;
  const admin = {
    enabled: resolved.get("admin.enableServer") ?? true,
    address: resolved.get("admin.serverAddress") ?? standard("admin.serverAddress"),
    port: numberOf("admin.serverPort", resolved.get("admin.serverPort")),
    commandUrl: (resolved.get("admin.commandURL") ?? standard("admin.commandURL")).replace(/\/+$/, ""),
  };
  const clientPortAddress = wildcardAsNull(resolved.get("clientPortAddress") ?? clientHost);
  if (admin.enabled && collides(admin, { address: clientPortAddress, port: clientPort })) {
    const found = `${admin.port}, which clientPort has too`;
    report.problem(
      resolved.placeOf("admin.serverPort", whole),
      "admin.serverPort",
      found,
      "a port of its own",
    );
  }

  if (ensemble !== null) {
    memberPortsAreFree(
      ensemble,
      { clientPort, clientPortAddress, secureClientPort, admin },
      membership.place ?? whole,
      report,
    );
  }

  const readOnlyMode = resolved.get("readonlymode.enabled") ?? false;
  return {
    ensemble,
    storageKind,
    source: from.source,
    sourceText: from.sourceText,
    ...dirs,
    clientPort,
    clientPortAddress,
    secureClientPort,
    secureClientPortAddress: wildcardAsNull(
      resolved.get("secureClientPortAddress") ?? membership.secureClient?.host ?? null,
    ),
    clientPortListenBacklog: numberOf("clientPortListenBacklog", resolved.get("clientPortListenBacklog")),
    clientTcpKeepAlive: resolved.get("clientTcpKeepAlive") ?? false,
    tickMs,
    sessionTimeoutMsMin,
    sessionTimeoutMsMax,
    connectionsPerAddressMax: numberOf("maxClientCnxns", resolved.get("maxClientCnxns")),
    connectionsMax: numberOf("maxCnxns", resolved.get("maxCnxns")),
    watchesPerConnectionMax: numberOf(
      "zoolet.maxWatchesPerClient",
      resolved.get("zoolet.maxWatchesPerClient"),
    ),
    watchesMax: numberOf("zoolet.maxWatches", resolved.get("zoolet.maxWatches")),
    outstandingRequestsMax: numberOf("globalOutstandingLimit", resolved.get("globalOutstandingLimit")),
    frameBytesMax,
    frameExtraBytes: resolved.get("jute.maxbuffer.extrasize") ?? frameBytesMax,
    sessionlessMsMax: numberOf("nio.sessionlessCnxnTimeout", resolved.get("nio.sessionlessCnxnTimeout")),
    serverId: serverId ?? 1,
    serverIdShown: serverId ?? 0,
    extendedTypes: extendedTypes(resolved, serverId ?? 1, ensemble, whole, report),
    enforceQuota: resolved.get("enforceQuota") ?? false,
    skipAcl: actingWord(resolved, "skipACL", "yes", report),
    digestEnabled: resolved.get("digest.enabled") ?? true,
    closeSessionTxn: resolved.get("closeSessionTxn.enabled") ?? true,
    ...authentication(resolved, whole, report),
    containerCheckMs: numberOf(
      "znode.container.checkIntervalMs",
      resolved.get("znode.container.checkIntervalMs"),
    ),
    containerPerMinuteMax: numberOf(
      "znode.container.maxPerMinute",
      resolved.get("znode.container.maxPerMinute"),
    ),
    containerNeverUsedMs: numberOf(
      "znode.container.maxNeverUsedIntervalMs",
      resolved.get("znode.container.maxNeverUsedIntervalMs"),
    ),
    fourLetterWords: fourLetterWords(resolved, readOnlyMode, report),
    readOnlyMode,
    sync: syncMode(resolved, origins, report),
    logRetainTxns: numberOf("zoolet.logRetainTxns", resolved.get("zoolet.logRetainTxns")),
    logRetainMs: numberOf("zoolet.logRetainMs", resolved.get("zoolet.logRetainMs")),
    dataDirAutocreate: resolved.get("datadir.autocreate") ?? true,
    fsyncWarningMs: numberOf("fsync.warningthresholdms", resolved.get("fsync.warningthresholdms")),
    admin,
    logFormat: resolved.get("zoolet.log.format") ?? "text",
    logLevel: resolved.get("zoolet.log.level") ?? "info",
    tls,
    metrics: metrics(resolved),
    origins,
    warnings: report.warnings,
    notes: report.notes,
  };
}

/** On the wire a timeout has 32 bits. */
function ticksMs(tickMs: number, ticks: number): number {
  return Math.min(tickMs * ticks, 0x7fff_ffff);
}

function directories(
  files: ConfigFiles,
  resolved: Resolved,
  inMemory: boolean,
  whole: Place,
  report: Report,
): { dataDir: string; dataLogDir: string } {
  if (!resolved.isSet("dataDir") && !inMemory) {
    report.problem(whole, "dataDir", "", "the directory to keep the data in", "dataDir is not set");
  }
  const absolute = (key: "dataDir" | "dataLogDir"): string | null => {
    const path = resolved.get(key);
    if (path === undefined) return null;
    const written = resolved.written(key);
    const relative = !path.startsWith("/") && !path.startsWith("\\") && !/^[A-Za-z]:[\\/]/.test(path);
    if (relative && !path.startsWith(".") && (written?.via === "classic" || written?.via === "toml")) {
      report.warn(written, `${path} is relative. Prepend ./ to indicate that you're sure!`);
    }
    const full = files.absolute(path);
    if (isFile(files, full)) {
      report.problem(resolved.placeOf(key, whole), key, path, "a directory; this is a file");
    }
    return full;
  };
  const dataDir = absolute("dataDir") ?? "";
  return { dataDir, dataLogDir: absolute("dataLogDir") ?? dataDir };
}

function storageOf(
  resolved: Resolved,
  inMemory: boolean,
  membership: Membership,
  whole: Place,
  report: Report,
): ServerSettings["storageKind"] {
  const { ensemble } = membership;
  const observer = ensemble?.observer === true;
  const synced = resolved.get("observer.syncEnabled") ?? resolved.get("syncEnabled") ?? true;
  if (!inMemory) {
    if (synced || !observer || resolved.isSet("zoolet.storage")) return "disk";
    const key = resolved.isSet("observer.syncEnabled") ? "observer.syncEnabled" : "syncEnabled";
    report.note(resolved.placeOf(key, whole), `${key} is false: this observer keeps its data in memory`);
    return "memory";
  }
  // Other problems with the membership are told first: what role it has is not known then.
  const known = ensemble !== null || membership.reason !== "ensemble";
  if (!observer && known) {
    report.problem(
      resolved.placeOf("zoolet.storage", whole),
      "zoolet.storage",
      "memory",
      "disk, or the role of an observer: what a server without others or a voter has acknowledged has to outlive it",
    );
  }
  return "memory";
}

/** The ports of the own line are bound on this machine, beside those for clients and for the admin. */
function memberPortsAreFree(
  ensemble: EnsembleSettings,
  others: {
    readonly clientPort: number;
    readonly clientPortAddress: string | null;
    readonly secureClientPort: number;
    readonly admin: ServerSettings["admin"];
  },
  place: Place,
  report: Report,
): void {
  const own = ensemble.members.find(({ sid }) => sid === ensemble.sid);
  if (own === undefined) return;
  for (const { host, quorumPort, electionPort } of own.addresses) {
    const address = ensemble.listenOnAllAddresses ? null : host;
    for (const port of [quorumPort, electionPort]) {
      const taken =
        collides({ address: others.clientPortAddress, port: others.clientPort }, { address, port })
          ? "clientPort"
          : others.secureClientPort === port
          ? "secureClientPort"
          : others.admin.enabled && collides(others.admin, { address, port })
          ? "admin.serverPort"
          : null;
      if (taken === null) continue;
      report.problem(place, `server.${ensemble.sid}`, `${port}, which ${taken} has too`, "a port of its own");
    }
  }
}

/** What cannot be looked at is left to the start, which says why it cannot be used. */
function isFile(files: ConfigFiles, path: string): boolean {
  try {
    return files.info(path)?.isDirectory === false;
  } catch (error) {
    if (systemCodeOf(error) === "") throw error;
    return false;
  }
}

function portsAgree(
  resolved: Resolved,
  ports: { readonly clientPort: number; readonly secureClientPort: number; readonly reason: string },
  whole: Place,
  report: Report,
): void {
  const { clientPort, secureClientPort } = ports;
  for (
    const [addressKey, portKey, port] of [
      ["clientPortAddress", "clientPort", clientPort],
      ["secureClientPortAddress", "secureClientPort", secureClientPort],
    ] as const
  ) {
    if (!resolved.isSet(addressKey) || port !== -1 || resolved.isSet(portKey)) continue;
    const sentence = `${addressKey} is set but ${portKey} is not set`;
    const found = `an address without ${portKey}`;
    report.problem(resolved.placeOf(addressKey, whole), addressKey, found, `${portKey} beside it`, sentence);
  }
  // A port that is there and wrong, or an address that lacks one, was told already.
  const wrong = (["clientPort", "clientPortAddress", "secureClientPort", "secureClientPortAddress"] as const)
    .some((key) => resolved.isSet(key));
  if (clientPort === -1 && secureClientPort === -1 && !wrong && ports.reason !== "ensemble") {
    const why = ports.reason === "" ? "" : ` (${ports.reason})`;
    const allowed = `a port for clients, as in clientPort=2181${why}`;
    report.problem(whole, "clientPort", "", allowed, "clientPort is not set");
  } else if (clientPort === -1 && secureClientPort !== -1) {
    report.note(whole, "clientPort is not set: there is TLS alone");
  }
  if (clientPort > 0 && clientPort === secureClientPort) {
    const place = resolved.placeOf("secureClientPort", whole);
    report.problem(place, "secureClientPort", `${clientPort}, which clientPort has too`, "a port of its own");
  }
}

function collides(
  a: { address: string | null; port: number },
  b: { address: string | null; port: number },
): boolean {
  if (a.port !== b.port || a.port <= 0) return false;
  const one = a.address === null ? null : wildcardAsNull(a.address);
  const other = b.address === null ? null : wildcardAsNull(b.address);
  return one === null || other === null || one === other;
}

/** 0.0.0.0 is how `;2181` is written out; it means every address, those of IPv6 too. */
function wildcardAsNull(address: string | null): string | null {
  return address === "0.0.0.0" || address === "::" ? null : address;
}

function extendedTypes(
  resolved: Resolved,
  serverId: number,
  ensemble: EnsembleSettings | null,
  whole: Place,
  report: Report,
): boolean {
  const asked = resolved.get("extendedTypesEnabled");
  // Without a line of its own a large number is what it needs, and the low 8 bits are as they have to be.
  const listed = ensemble === null || ensemble.members.some(({ sid }) => sid === ensemble.sid);
  if (!listed && serverId % 256 <= serverIdExtendedMax) return asked ?? true;
  if (asked === false || serverId <= serverIdExtendedMax) return asked ?? true;
  if (asked === undefined) {
    // On is our default, not the operator's wish: a file that Apache starts has to start here.
    report.warn(whole, `server id ${serverId} is above ${serverIdExtendedMax}, so TTL nodes are off`);
    return false;
  }
  report.problem(
    resolved.placeOf("extendedTypesEnabled", whole),
    "extendedTypesEnabled",
    `true with server id ${serverId}`,
    `a server id up to ${serverIdExtendedMax}, or extendedTypesEnabled=false`,
    "extendedTypesEnabled is true but Server ID is too large. Cannot be larger than 254",
  );
  return false;
}

/** A switch where Apache looks for one exact word and takes every other one for its opposite. */
function actingWord(
  resolved: Resolved,
  key: "skipACL" | "forceSync" | "leaderServes",
  word: "yes" | "no",
  report: Report,
): boolean {
  const value = resolved.get(key);
  if (value === word) return true;
  const written = resolved.written(key);
  if (value !== undefined && written !== null && value !== "yes" && value !== "no") {
    report.warn(
      written,
      `${key}=${JSON.stringify(value)} does nothing, as in Apache: only the word ${word} acts`,
    );
  }
  return false;
}

function syncMode(resolved: Resolved, origins: Map<string, string>, report: Report): ServerSettings["sync"] {
  const own = resolved.get("zoolet.sync");
  const off = actingWord(resolved, "forceSync", "no", report);
  if (own !== undefined) return own;
  if (!off) return "full";
  const written = resolved.written("forceSync");
  if (written !== null) origins.set("zoolet.sync", placeText(written));
  return "off";
}

function fourLetterWords(
  resolved: Resolved,
  readOnlyMode: boolean,
  report: Report,
): "all" | ReadonlySet<string> {
  const key = "4lw.commands.whitelist";
  const listed = resolved.get(key) ?? [];
  if (listed.includes("*")) return "all";
  const written = resolved.written(key);
  const strange = listed.filter((word) => !fourLetterWordsKnown.includes(word));
  if (strange.length > 0 && written !== null) {
    const some = strange.slice(0, 5).map((word) => JSON.stringify(word)).join(", ");
    report.warn(written, `${some} in the list of four-letter words: there is no such word`);
  }
  return new Set(["srvr", ...(readOnlyMode ? ["isro"] : []), ...listed]);
}

function authentication(
  resolved: Resolved,
  whole: Place,
  report: Report,
): Pick<ServerSettings, "superDigest" | "digestAuthEnabled" | "enforceAuthSchemes"> {
  const digestAuthEnabled = resolved.get("DigestAuthenticationProvider.enabled") ?? true;
  const superKey = "DigestAuthenticationProvider.superDigest";
  const superDigest = resolved.get(superKey) ?? null;
  const superPlace = resolved.placeOf(superKey, whole);
  if (superDigest !== null && !/:[A-Za-z0-9+/]{27}=$/.test(superDigest)) {
    // The password itself is what people put here, and then nobody is ever super.
    report.warn(superPlace, `${superKey} does not end in the base64 of a SHA-1, so no password can match it`);
  }
  if (superDigest !== null && !digestAuthEnabled) {
    report.warn(superPlace, `${superKey} is of no use while DigestAuthenticationProvider.enabled is false`);
  }

  for (const one of resolved.family("authProvider.")) {
    const name = String(one.value);
    if (/\.(IP|Digest|X509)AuthenticationProvider$/.test(name)) continue;
    report.warn(
      one,
      `Problems loading ${name.slice(0, 80)}: authentication by Java classes is not offered here`,
    );
  }

  const schemes = resolved.get("enforce.auth.schemes") ?? [];
  const place = resolved.placeOf("enforce.auth.schemes", resolved.placeOf("enforce.auth.enabled", whole));
  const typed = resolved.written("enforce.auth.schemes")?.via === "toml";
  const enforced = resolved.get("enforce.auth.enabled") ?? (typed && schemes.length > 0);
  if (!enforced) {
    if (schemes.length > 0 && !typed) {
      report.warn(place, "enforce.auth.schemes does nothing without enforce.auth.enabled=true");
    }
    return { superDigest, digestAuthEnabled, enforceAuthSchemes: [] };
  }
  const offered = digestAuthEnabled ? ["digest", "ip"] : ["ip"];
  const missing = schemes.filter((scheme) => !offered.includes(scheme));
  if (missing.length > 0 || schemes.length === 0) {
    const found = schemes.length === 0 ? "enforcement without a scheme" : missing.join(",");
    const sentence = `Authentication scheme ${missing[0] ?? "null"} is not available.`;
    report.problem(place, "enforce.auth.schemes", found, `one or more of ${offered.join(", ")}`, sentence);
  }
  return { superDigest, digestAuthEnabled, enforceAuthSchemes: schemes };
}

function metrics(resolved: Resolved): ServerSettings["metrics"] {
  const provider = resolved.get("metricsProvider.className") ?? "";
  const typed = resolved.written("metricsProvider.httpPort")?.via === "toml";
  if (!provider.endsWith(".PrometheusMetricsProvider") && !typed) return null;
  const port = resolved.get("metricsProvider.httpPort") ?? Number(keys["metricsProvider.httpPort"].standard);
  if (port === -1) return null;
  return {
    address: resolved.get("metricsProvider.httpHost") ?? keys["metricsProvider.httpHost"].standard,
    port,
  };
}
