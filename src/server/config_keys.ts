/**
 * Keys: the one table of settings that act, and of those that a membership is judged by.
 *
 * A row says how the key is called in a `zoo.cfg` and in TOML, what values it may have, what it is
 * when nobody sets it, and what it does. Reading, checking, the near-miss search, `--print-effective`
 * and `config/KEYS.md` all come from these rows, so a key cannot work and be undocumented.
 * Keys that are only recognised are in `config_known.ts`.
 *
 * Always true: the name in the table is the one without Java's `zookeeper.` in front; keys of our own
 * begin with `zoolet.`, so no later ZooKeeper can mean something else by them.
 */
import * as limits from "../core/base/limits.ts";
import type { Grammar, KindName } from "./config_kinds.ts";
import type { ServerSettings } from "./config_types.ts";

/**
 * What becomes of a key:
 * `acts`: honoured · `ensemble`: read and checked, of use once there are several servers ·
 * `met`: what it asks for is always done · `later`: not there yet, so a value that differs from the
 * standard one gets a warning · `guards`: as `later`, but to leave it out would open a door, so such a
 * value stops the start · `java`: about the Java virtual machine or its parts, ignored with a warning.
 */
export type Use = "acts" | "ensemble" | "met" | "later" | "guards" | "java";

export interface KeySpec {
  readonly use: Use;
  /** Null: only its presence matters and the text is not looked at. */
  readonly kind: KindName | null;
  readonly toml: string | null;
  readonly grammar: Grammar;
  /** The value when it is not set, as one would write it; "" for none. */
  readonly standard: string;
  readonly doc: string;
  /** Its Java property has no `zookeeper.` prefix, so Apache does not see it in the file. */
  readonly bare?: true;
  readonly secret?: true;
  /** Every key that begins with the name. */
  readonly prefix?: true;
  /** The effective value, for keys that have one of their own. */
  readonly shows?: (settings: ServerSettings) => string | number | boolean | null;
}

export const certificateKey = "ssl.keyStore.location";

export const keys = {
  dataDir: {
    use: "acts",
    kind: "path",
    toml: "storage.data_dir",
    grammar: "core",
    standard: "",
    doc: "Where the tree is kept, and the file `myid`. Needed.",
    shows: (s) => s.dataDir,
  },
  dataLogDir: {
    use: "acts",
    kind: "path",
    toml: "storage.log_dir",
    grammar: "core",
    standard: "",
    doc: "Where the log of transactions is kept; the same as `dataDir` when not set.",
    shows: (s) => s.dataLogDir,
  },
  "zoolet.sync": {
    use: "acts",
    kind: "sync",
    toml: "storage.sync",
    grammar: "own",
    standard: "full",
    doc:
      "`full`: no write is acknowledged before its fsync. `off`: none is made; a crash of the machine may lose the last writes.",
    shows: (s) => s.sync,
  },
  forceSync: {
    use: "acts",
    kind: "switchWord",
    toml: null,
    grammar: "property",
    standard: "yes",
    doc: "`no` is `zoolet.sync=off`; every other word is ignored.",
  },
  "zoolet.logRetainTxns": {
    use: "acts",
    kind: "count",
    toml: "storage.log_retain_txns",
    grammar: "own",
    standard: "10000",
    doc: "Transactions that the log keeps once the tree has them.",
    shows: (s) => s.logRetainTxns,
  },
  "zoolet.logRetainMs": {
    use: "acts",
    kind: "msLong",
    toml: "storage.log_retain_ms",
    grammar: "own",
    standard: "3600000",
    doc: "How long it keeps them at most; 0 is for ever.",
    shows: (s) => s.logRetainMs,
  },
  "datadir.autocreate": {
    use: "acts",
    kind: "boolean",
    toml: "storage.create",
    grammar: "property",
    standard: "true",
    doc: "Make the data directories when they are missing.",
    shows: (s) => s.dataDirAutocreate,
  },
  "fsync.warningthresholdms": {
    use: "acts",
    kind: "ms",
    toml: "storage.fsync_warning_ms",
    grammar: "property",
    standard: "1000",
    doc: "A write to the log that takes longer is warned about.",
    shows: (s) => s.fsyncWarningMs,
  },

  clientPort: {
    use: "acts",
    kind: "port",
    toml: "client.port",
    grammar: "core",
    standard: "",
    doc: "The plaintext port for clients; 0 takes any free one (Apache: none).",
    shows: (s) => s.clientPort,
  },
  clientPortAddress: {
    use: "acts",
    kind: "host",
    toml: "client.address",
    grammar: "core",
    standard: "",
    doc: "The address it listens on; all of them when not set.",
    shows: (s) => s.clientPortAddress,
  },
  clientPortListenBacklog: {
    use: "acts",
    kind: "backlog",
    toml: "client.backlog",
    grammar: "core",
    standard: "-1",
    doc: "Connections that may wait to be accepted; -1 leaves it to the system.",
    shows: (s) => s.clientPortListenBacklog,
  },
  clientTcpKeepAlive: {
    use: "acts",
    kind: "boolean",
    toml: "client.keep_alive",
    grammar: "property",
    standard: "false",
    doc: "TCP keep-alive on client connections.",
    shows: (s) => s.clientTcpKeepAlive,
  },
  secureClientPort: {
    use: "acts",
    kind: "port",
    toml: "tls.port",
    grammar: "core",
    standard: "",
    doc: "The TLS port for clients.",
    shows: (s) => s.secureClientPort,
  },
  secureClientPortAddress: {
    use: "acts",
    kind: "host",
    toml: "tls.address",
    grammar: "core",
    standard: "",
    doc: "The address it listens on; all of them when not set.",
    shows: (s) => s.secureClientPortAddress,
  },
  [certificateKey]: {
    use: "acts",
    kind: "path",
    toml: "tls.cert_file",
    grammar: "property",
    standard: "",
    doc:
      "PEM file with the certificate, its chain behind it, and the private key unless that has a file of its own.",
    shows: (s) => s.tls?.certFile ?? null,
  },
  "zoolet.ssl.keyFile": {
    use: "acts",
    kind: "path",
    toml: "tls.key_file",
    grammar: "own",
    standard: "",
    doc: "PEM file with the private key; the certificate's file when not set.",
    shows: (s) => s.tls?.keyFile ?? null,
  },
  "ssl.keyStore.type": {
    use: "acts",
    kind: "storeType",
    toml: null,
    grammar: "property",
    standard: "",
    doc: "Only `PEM` can be read here; when not set, the file's ending tells.",
  },
  "ssl.keyStore.password": {
    use: "acts",
    kind: "text",
    toml: null,
    grammar: "property",
    standard: "",
    doc: "Not needed: private keys are read unencrypted.",
    secret: true,
  },
  "ssl.keyStore.passwordPath": {
    use: "acts",
    kind: "text",
    toml: null,
    grammar: "property",
    standard: "",
    doc: "Not needed: private keys are read unencrypted.",
  },
  "ssl.trustStore.location": {
    use: "acts",
    kind: "path",
    toml: "tls.ca_file",
    grammar: "property",
    standard: "",
    doc: "PEM file with the authorities whose client certificates are accepted.",
    shows: (s) => s.tls?.caFile ?? null,
  },
  "ssl.trustStore.type": {
    use: "acts",
    kind: "storeType",
    toml: null,
    grammar: "property",
    standard: "",
    doc: "Only `PEM` can be read here; when not set, the file's ending tells.",
  },
  "ssl.clientAuth": {
    use: "acts",
    kind: "clientAuth",
    toml: "tls.client_auth",
    grammar: "property",
    standard: "need",
    doc: "`need`: clients must show a certificate. `none`: they are not asked.",
    shows: (s) => s.tls === null ? null : s.tls.clientCert ? "need" : "none",
  },

  "zoolet.serverId": {
    use: "acts",
    kind: "serverId",
    toml: "server.id",
    grammar: "own",
    standard: "",
    doc: "The server's id, instead of the file `myid`. Without either it is 1, and `conf` shows 0.",
    shows: (s) => s.serverId,
  },
  tickTime: {
    use: "acts",
    kind: "tick",
    toml: "server.tick_ms",
    grammar: "core",
    standard: String(limits.tickMsDefault),
    doc: "The base unit of time, in milliseconds.",
    shows: (s) => s.tickMs,
  },
  "readonlymode.enabled": {
    use: "acts",
    kind: "boolean",
    toml: "server.read_only_mode",
    grammar: "property",
    standard: "false",
    doc: "Serve reads without a quorum; adds `isro` to the four-letter words.",
    bare: true,
    shows: (s) => s.readOnlyMode,
  },
  minSessionTimeout: {
    use: "acts",
    kind: "msOrDefault",
    toml: "session.timeout_min_ms",
    grammar: "core",
    standard: "2 x tickTime",
    doc: "The shortest session timeout a client can get.",
    shows: (s) => s.sessionTimeoutMsMin,
  },
  maxSessionTimeout: {
    use: "acts",
    kind: "msOrDefault",
    toml: "session.timeout_max_ms",
    grammar: "core",
    standard: "20 x tickTime",
    doc: "The longest session timeout a client can get.",
    shows: (s) => s.sessionTimeoutMsMax,
  },
  "nio.sessionlessCnxnTimeout": {
    use: "acts",
    kind: "msPositive",
    toml: "session.handshake_ms",
    grammar: "property",
    standard: String(limits.sessionlessMsMax),
    doc: "A connection that has not asked for a session by then is closed.",
    shows: (s) => s.sessionlessMsMax,
  },
  "closeSessionTxn.enabled": {
    use: "acts",
    kind: "boolean",
    toml: "session.close_txn",
    grammar: "property",
    standard: "true",
    doc: "The txn that ends a session lists the ephemerals that go with it.",
    shows: (s) => s.closeSessionTxn,
  },

  maxClientCnxns: {
    use: "acts",
    kind: "limit",
    toml: "limits.connections_per_address",
    grammar: "core",
    standard: String(limits.connectionsPerAddressDefault),
    doc: "Connections from one address; 0 is no limit.",
    shows: (s) => s.connectionsPerAddressMax,
  },
  maxCnxns: {
    use: "acts",
    kind: "limit",
    toml: "limits.connections",
    grammar: "property",
    standard: "0",
    doc: "Connections over all; 0 is no limit.",
    shows: (s) => s.connectionsMax,
  },
  globalOutstandingLimit: {
    use: "acts",
    kind: "countPositive",
    toml: "limits.outstanding_requests",
    grammar: "property",
    standard: String(limits.outstandingRequestsDefault),
    doc: "Requests in flight before reading pauses.",
    shows: (s) => s.outstandingRequestsMax,
  },
  "jute.maxbuffer": {
    use: "acts",
    kind: "frameBytes",
    toml: "limits.frame_bytes",
    grammar: "property",
    standard: String(limits.frameBytesMax),
    doc:
      "The longest request, and with it the most data of one znode. Clients have the same limit of their own.",
    bare: true,
    shows: (s) => s.frameBytesMax,
  },

  extendedTypesEnabled: {
    use: "acts",
    kind: "boolean",
    toml: "nodes.extended_types",
    grammar: "property",
    standard: "true",
    doc: "TTL nodes (Apache: off until asked for).",
    shows: (s) => s.extendedTypes,
  },
  enforceQuota: {
    use: "acts",
    kind: "boolean",
    toml: "nodes.enforce_quota",
    grammar: "property",
    standard: "false",
    doc: "Refuse writes that go over a quota, instead of a warning alone.",
    shows: (s) => s.enforceQuota,
  },
  "znode.container.checkIntervalMs": {
    use: "acts",
    kind: "msPositive",
    toml: "nodes.container_check_ms",
    grammar: "property",
    standard: "1000",
    doc: "How often empty containers and TTL nodes are looked for; Apache looks once a minute.",
    bare: true,
    shows: (s) => s.containerCheckMs,
  },
  "znode.container.maxPerMinute": {
    use: "acts",
    kind: "countPositive",
    toml: "nodes.container_per_minute",
    grammar: "property",
    standard: "10000",
    doc: "How many of them are deleted a minute at most.",
    bare: true,
    shows: (s) => s.containerPerMinuteMax,
  },
  "znode.container.maxNeverUsedIntervalMs": {
    use: "acts",
    kind: "msLong",
    toml: "nodes.container_never_used_ms",
    grammar: "property",
    standard: "0",
    doc: "A container that never had a child is deleted after this long; 0 keeps it.",
    bare: true,
    shows: (s) => s.containerNeverUsedMs,
  },
  "digest.enabled": {
    use: "acts",
    kind: "boolean",
    toml: "nodes.digest",
    grammar: "property",
    standard: "true",
    doc: "Keep a digest of the tree and check it with each txn.",
    shows: (s) => s.digestEnabled,
  },

  skipACL: {
    use: "acts",
    kind: "switchWord",
    toml: "acl.skip",
    grammar: "property",
    standard: "no",
    doc: "`yes`: ACLs are stored and not checked. Every other word leaves them on.",
    shows: (s) => s.skipAcl ? "yes" : "no",
  },
  "DigestAuthenticationProvider.superDigest": {
    use: "acts",
    kind: "digest",
    toml: "acl.super_digest",
    grammar: "property",
    standard: "",
    doc: "Who may do everything: `super:<base64 of the SHA-1 of super:password>`.",
    secret: true,
    shows: (s) => s.superDigest,
  },
  "DigestAuthenticationProvider.enabled": {
    use: "acts",
    kind: "boolean",
    toml: "acl.digest",
    grammar: "property",
    standard: "true",
    doc: "Offer the `digest` scheme.",
    shows: (s) => s.digestAuthEnabled,
  },
  "DigestAuthenticationProvider.digestAlg": {
    use: "acts",
    kind: "digestAlg",
    toml: null,
    grammar: "property",
    standard: "SHA1",
    doc: "How `digest` passwords are hashed; there is only SHA1 here.",
  },
  "enforce.auth.enabled": {
    use: "acts",
    kind: "boolean",
    toml: "acl.enforce",
    grammar: "property",
    standard: "false",
    doc: "Refuse requests of clients that have not authenticated. In TOML, naming schemes is enough.",
  },
  "enforce.auth.schemes": {
    use: "acts",
    kind: "schemes",
    toml: "acl.enforce_schemes",
    grammar: "property",
    standard: "",
    doc: "The schemes of which one is then needed: `digest`, `ip`.",
    shows: (s) => s.enforceAuthSchemes.join(","),
  },

  "4lw.commands.whitelist": {
    use: "acts",
    kind: "words",
    toml: "words.allow",
    grammar: "property",
    standard: "srvr",
    doc: "Four-letter words that are answered; `srvr` always is, `*` is all.",
    shows: (s) => s.fourLetterWords === "all" ? "*" : [...s.fourLetterWords].join(","),
  },

  "admin.enableServer": {
    use: "acts",
    kind: "boolean",
    toml: "admin.enabled",
    grammar: "property",
    standard: "true",
    doc: "The HTTP endpoint with commands, health and metrics.",
    shows: (s) => s.admin.enabled,
  },
  "admin.serverAddress": {
    use: "acts",
    kind: "host",
    toml: "admin.address",
    grammar: "property",
    standard: "127.0.0.1",
    doc: "The address it listens on (Apache: 0.0.0.0).",
    shows: (s) => s.admin.address,
  },
  "admin.serverPort": {
    use: "acts",
    kind: "port",
    toml: "admin.port",
    grammar: "property",
    standard: "8080",
    doc: "Its port; 0 takes any free one.",
    shows: (s) => s.admin.port,
  },
  "admin.commandURL": {
    use: "acts",
    kind: "urlPath",
    toml: "admin.command_url",
    grammar: "property",
    standard: "/commands",
    doc: "What the paths of its commands begin with.",
    shows: (s) => s.admin.commandUrl,
  },
  "metricsProvider.className": {
    use: "acts",
    kind: "metricsProvider",
    toml: null,
    grammar: "core",
    standard: "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    doc: "The Prometheus provider opens a port of its own for `/metrics`.",
  },
  "metricsProvider.httpHost": {
    use: "acts",
    kind: "host",
    toml: "metrics.address",
    grammar: "core",
    standard: "0.0.0.0",
    doc: "The address of that port.",
    shows: (s) => s.metrics?.address ?? null,
  },
  "metricsProvider.httpPort": {
    use: "acts",
    kind: "portOrOff",
    toml: "metrics.port",
    grammar: "core",
    standard: "7000",
    doc: "That port. In TOML, naming it is enough; the admin endpoint has `/metrics` in any case.",
    shows: (s) => s.metrics?.port ?? null,
  },

  "zoolet.log.format": {
    use: "acts",
    kind: "logFormat",
    toml: "log.format",
    grammar: "own",
    standard: "text",
    doc: "`text` for eyes, `json` for machines.",
    shows: (s) => s.logFormat,
  },
  "zoolet.log.level": {
    use: "acts",
    kind: "logLevel",
    toml: "log.level",
    grammar: "own",
    standard: "info",
    doc: "`debug`, `info`, `warn` or `error`.",
    shows: (s) => s.logLevel,
  },

  "server.": {
    use: "ensemble",
    kind: "text",
    toml: null,
    grammar: "core",
    standard: "",
    doc:
      "`server.1=host:2888:3888;2181`. One such line gives a standalone server its client port; more come with a later version.",
    prefix: true,
  },
  dynamicConfigFile: ensemble("path", "", "A file of its own for the `server.N` lines."),
  peerType: ensemble("peerType", "participant", "Whether this server votes."),
  standaloneEnabled: ensemble("boolean", "true", "`false`: one server alone is an ensemble too."),
  reconfigEnabled: ensemble("boolean", "false", "Let clients change the membership."),
  initLimit: ensemble("ticks", "", "Ticks a learner has to connect and catch up."),
  syncLimit: ensemble("ticks", "", "Ticks a learner may lag behind."),
  connectToLearnerMasterLimit: ensemble("ticks", "0", "The connecting part of `initLimit`."),
  electionAlg: ensemble("electionAlg", "3", "The election algorithm; there is only 3."),
  observerMasterPort: ensemble("integer", "0", "Followers accept observers here."),
  quorumListenOnAllIPs: ensemble("boolean", "false", "Peers' ports on all addresses."),
  syncEnabled: ensemble("boolean", "true", "Observers keep a log."),
  localSessionsEnabled: ensemble("boolean", "false", "Sessions that one server alone knows."),
  localSessionsUpgradingEnabled: ensemble("boolean", "false", "Turn those into global ones when needed."),
  sslQuorum: ensemble("boolean", "false", "TLS between peers."),
  portUnification: ensemble("boolean", "false", "Peers' ports take TLS and plaintext."),
  sslQuorumReloadCertFiles: ensemble("boolean", "false", "Read peers' certificates anew when they change."),
  "quorum.auth.enableSasl": ensemble("boolean", "false", "SASL between peers."),
  "quorum.auth.learnerRequireSasl": ensemble("boolean", "false", "Learners insist on it."),
  "quorum.auth.serverRequireSasl": ensemble("boolean", "false", "Servers insist on it."),
  "multiAddress.enabled": ensemble("boolean", "false", "Several addresses for one server."),
} satisfies Record<string, KeySpec>;

export type KeyName = keyof typeof keys;
export type KindOf<K extends KeyName> = (typeof keys)[K]["kind"];

function ensemble<const K extends KindName>(kind: K, standard: string, doc: string) {
  return { use: "ensemble", kind, toml: null, grammar: "core", standard, doc } as const;
}
