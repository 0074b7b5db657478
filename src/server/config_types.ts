/**
 * Settings: every value the server runs with, already checked. `config.ts` makes one from a file.
 */
import type { Quorum } from "../core/base/quorum.ts";
import type { SyncMode } from "../storage/storage.ts";

/** One `server.N` line. Names are as written: they are resolved anew at each attempt to connect. */
export interface MemberSettings {
  readonly sid: number;
  readonly role: "participant" | "observer";
  /** At least one; several only with `multiAddress.enabled`. */
  readonly addresses: readonly {
    readonly host: string;
    readonly quorumPort: number;
    readonly electionPort: number;
  }[];
}

/** What a member of an ensemble knows of it. */
export interface EnsembleSettings {
  /**
   * The number of its own line in `members`, or of none: an observer may do without a line. Then it
   * listens on no port for members, and its sid is above theirs, so that in every pair it is the one
   * that dials (quorum-protocol 1.1).
   */
  readonly sid: number;
  readonly observer: boolean;
  readonly members: readonly MemberSettings[];
  readonly quorum: Quorum;
  /** The lines as votes carry them, with `version=`; quorum-protocol 7.1. */
  readonly configText: string;
  readonly configVersion: number;
  readonly initLimit: number;
  readonly syncLimit: number;
  /** Ticks for reaching the leader; 0 is initLimit. */
  readonly connectToLeaderLimit: number;
  /** For one dial of the election port, in ms (`cnxTimeout`). */
  readonly electionConnectMsMax: number;
  /** How often a port for members that is taken is tried again, once a second; 0 is for ever. */
  readonly bindRetries: number;
  readonly listenOnAllAddresses: boolean;
  readonly multiAddress: boolean;
  readonly leaderServes: boolean;
  /** Where followers serve observers and observers look for followers; -1 nowhere. */
  readonly observerMasterPort: number;
  readonly observerElectionDelayMs: number;
  readonly snapSyncsMax: number;
  readonly diffSyncsMax: number;
  readonly snapshotSizeFactor: number;
  readonly historyTxnsMin: number;
  readonly tcpKeepAlive: boolean;
}

export interface ServerSettings {
  /** Null stands alone. */
  readonly ensemble: EnsembleSettings | null;
  /** `memory`: nothing is kept on the disk; for observers alone. */
  readonly storageKind: "disk" | "memory";
  /** Where it came from, for messages: a path, or "defaults". */
  readonly source: string;
  /** Text of the file as it was read, for `initial_configuration`; null without one. */
  readonly sourceText: string | null;
  readonly dataDir: string;
  readonly dataLogDir: string;
  /** -1: no plaintext port. 0: a free one. */
  readonly clientPort: number;
  /** Null listens on all addresses. */
  readonly clientPortAddress: string | null;
  readonly secureClientPort: number;
  readonly secureClientPortAddress: string | null;
  readonly clientPortListenBacklog: number;
  readonly clientTcpKeepAlive: boolean;
  readonly tickMs: number;
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  readonly connectionsPerAddressMax: number;
  readonly connectionsMax: number;
  /** 0: no limit. */
  readonly watchesPerConnectionMax: number;
  readonly watchesMax: number;
  readonly outstandingRequestsMax: number;
  readonly frameBytesMax: number;
  readonly frameExtraBytes: number;
  readonly sessionlessMsMax: number;
  /** What enters session ids (its low 8 bits). */
  readonly serverId: number;
  /** What `conf` tells: 0 for a standalone server without a myid file, else the same. */
  readonly serverIdShown: number;
  readonly extendedTypes: boolean;
  readonly enforceQuota: boolean;
  readonly skipAcl: boolean;
  readonly digestEnabled: boolean;
  readonly closeSessionTxn: boolean;
  readonly superDigest: string | null;
  readonly digestAuthEnabled: boolean;
  /** Schemes of which one is needed; empty: none is. */
  readonly enforceAuthSchemes: readonly string[];
  readonly containerCheckMs: number;
  readonly containerPerMinuteMax: number;
  readonly containerNeverUsedMs: number;
  readonly fourLetterWords: "all" | ReadonlySet<string>;
  readonly readOnlyMode: boolean;
  readonly sync: SyncMode;
  readonly logRetainTxns: number;
  readonly logRetainMs: number;
  readonly dataDirAutocreate: boolean;
  readonly fsyncWarningMs: number;
  readonly admin: {
    readonly enabled: boolean;
    readonly address: string;
    readonly port: number;
    readonly commandUrl: string;
  };
  readonly logFormat: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly tls: {
    readonly keyFile: string;
    readonly certFile: string;
    readonly caFile: string | null;
    readonly clientCert: boolean;
  } | null;
  /** A port of its own for Prometheus, when the file asks for the Prometheus provider. */
  readonly metrics: { readonly address: string; readonly port: number } | null;
  /** Classic key to where its value came from (`zoo.cfg:3`, `flag`, `JVMFLAGS`); absent means the default. */
  readonly origins: ReadonlyMap<string, string>;
  /** Lines an operator should read once at the start: keys ignored, misspelt or meant for Java. */
  readonly warnings: readonly string[];
  /** Lines worth an info: what was found and passed over without harm. */
  readonly notes: readonly string[];
}

/** One thing wrong with a configuration, told so that it can be mended without looking anything up. */
export interface ConfigProblem {
  readonly file: string;
  /** 1-based; 0 when it is about the whole file. */
  readonly line: number;
  readonly key: string;
  readonly found: string;
  readonly allowed: string;
  /** The sentence that operators know from Apache ZooKeeper, where there is one. */
  readonly sentence: string;
}
