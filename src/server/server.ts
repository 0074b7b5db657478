/**
 * Server: one peer with its storage, its ports and its admin endpoint, from start to stop.
 *
 * Start in this order: the disk, then memory, then the client port; so whoever can connect is
 * served. The admin endpoint comes after the ready line and is never a reason not to serve.
 */
import { Peer } from "../core/peer/peer.ts";
import { makeShellCounters, makeStatusSource } from "../core/peer/status_source.ts";
import { historyBytesDefault } from "../core/base/limits.ts";
import { zxidHex } from "../core/base/zxid.ts";
import type { EnsembleOptions } from "../core/zab/ensemble.ts";
import { acceptLine, LineCounts } from "../net/client_listener.ts";
import type { Runtime, TcpListener, TcpListenOptions } from "../runtime/ports.ts";
import type { Recovered, Storage } from "../storage/storage.ts";
import type { EnsembleSettings, ServerSettings } from "./config_types.ts";
import { EnsembleLines } from "./ensemble_lines.ts";
import { answerWord, traceMaskDefault, wordBytes, wordOf, type WordSource } from "./four_letter_words.ts";
import type { Logger } from "./logger.ts";
import { Loop } from "./loop.ts";

export interface ServerParts {
  readonly runtime: Runtime;
  readonly settings: ServerSettings;
  readonly storage: Storage;
  readonly logger: Logger;
  /** Nothing can be promised any more: the process has to end. */
  readonly onFatal: (message: string) => void;
}

export interface RunningServer {
  /** The ports as bound. */
  readonly clientPort: number;
  readonly securePort: number;
  readonly words: WordSource;
  readonly recovered: Recovered;
  /** Called each time this server begins to serve clients, with its part; at once if it does already. */
  onServing(call: (mode: string) => void): void;
  /** Answers what is in flight, closes the lines and the files. */
  stop(): Promise<void>;
}

/** The shell ticks this often at most and at least; sessions expire on multiples of the tick all the same. */
const tickMsMin = 10;
const tickMsMax = 1000;

/** A member looks at its timers this often, and this often during an election. */
const tickMsMember = 100;
const tickMsFine = 10;

/** How long a stop waits for what is in flight. */
const drainMsMax = 5_000;

export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { runtime, settings, storage, logger, onFatal } = parts;
  const { clock } = runtime;
  const peer = new Peer({
    serverId: settings.serverId,
    tickMs: settings.tickMs,
    sessionTimeoutMsMin: settings.sessionTimeoutMsMin,
    sessionTimeoutMsMax: settings.sessionTimeoutMsMax,
    digestEnabled: settings.digestEnabled,
    judge: {
      extendedTypes: settings.extendedTypes,
      skipAcl: settings.skipAcl,
      enforceQuota: settings.enforceQuota,
      closeSessionTxn: settings.closeSessionTxn,
      auth: { superDigest: settings.superDigest, digestEnabled: settings.digestAuthEnabled },
    },
    reaper: {
      checkMs: settings.containerCheckMs,
      perMinuteMax: settings.containerPerMinuteMax,
      neverUsedMs: settings.containerNeverUsedMs,
    },
    enforceAuthSchemes: settings.enforceAuthSchemes,
    ensemble: settings.ensemble === null ? null : memberOf(settings.ensemble),
    bornWallMs: clock.wallMs(),
    bornMonoMs: clock.monotonicMs(),
    hashSeed: runtime.process.randomU32(),
  });

  storage.onFailure = (error) => onFatal(error.message);
  const recovered = await storage.recover(peer.loader());
  for (const note of recovered.notes) logger.warn("recovery_note", note);
  peer.begin(recovered, clock.monotonicMs());
  logger.info("recovered", "Database is loaded", {
    zxid: zxidHex(recovered.zxidLast),
    znodes: peer.tree.liveCount,
    replayed: recovered.txnsReplayed,
    tookMs: Math.round(recovered.tookMs),
  });

  const counters = makeShellCounters();
  const source = makeStatusSource(peer, counters, clock);
  const bound = { client: settings.clientPort, secure: settings.secureClientPort };
  const words: WordSource = {
    peer: source,
    storage,
    settings,
    process: runtime.process,
    clock,
    traceMask: { value: traceMaskDefault },
    ports: bound,
    recovered,
  };
  const encoder = new TextEncoder();
  const loop = new Loop({
    peer,
    storage,
    clock,
    logger,
    counters,
    limits: settings,
    outstandingMax: settings.outstandingRequestsMax,
    fatal: onFatal,
    words: {
      bytes(head) {
        const word = wordOf(head);
        return word === null ? 0 : wordBytes(word);
      },
      answer(asked, secure) {
        const word = wordOf(asked);
        return word === null
          ? asked
          : encoder.encode(answerWord(word, words, { secure, rest: asked.subarray(4) }));
      },
    },
  });

  const counts = new LineCounts();
  const listeners: TcpListener[] = [];
  const listen = async (options: TcpListenOptions, secure: boolean): Promise<number> => {
    const listener = await runtime.tcp.listen(options, (socket) => {
      const line = acceptLine(socket, loop, counts, secure, clock.monotonicMs());
      loop.accepted(line);
      return line;
    });
    listeners.push(listener);
    return listener.port;
  };
  const common = { backlog: settings.clientPortListenBacklog, keepAlive: settings.clientTcpKeepAlive };
  if (settings.clientPort >= 0) {
    bound.client = await listen(
      { host: settings.clientPortAddress, port: settings.clientPort, ...common },
      false,
    );
  }
  if (settings.secureClientPort >= 0 && settings.tls !== null) {
    const { keyFile, certFile, caFile, clientCert } = settings.tls;
    const { files } = runtime;
    const tls = {
      key: files.readText(keyFile),
      cert: files.readText(certFile),
      ...(caFile === null ? {} : { ca: files.readText(caFile) }),
      clientCert,
    };
    bound.secure = await listen({
      host: settings.secureClientPortAddress,
      port: settings.secureClientPort,
      ...common,
      tls,
    }, true);
  }
  const { ensemble } = settings;
  const lines = ensemble === null ? null : new EnsembleLines({
    runtime,
    peer,
    ensemble,
    tickMs: settings.tickMs,
    logger,
    turn: () => loop.turn(),
  });
  if (lines !== null) {
    loop.join(lines);
    await lines.start();
  }
  // What recovery left to propose (ephemerals without a session) goes to the disk now.
  loop.turn();
  const tickMsLong = Math.max(tickMsMin, Math.min(settings.tickMs, tickMsMax, settings.containerCheckMs));
  const stopTicking = ensemble === null
    ? clock.every(tickMsLong, () => loop.tick())
    : tickAsNeeded(clock, peer, Math.min(tickMsLong, settings.tickMs / 2, tickMsMember), () => loop.tick());

  let stopped: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    stopTicking();
    await lines?.stop();
    await Promise.all(listeners.map((listener) => listener.close()));
    await Promise.race([
      loop.idle(),
      // A member can't finish what the others have to agree to.
      new Promise<void>((resolve) => clock.after(ensemble === null ? drainMsMax : 0, resolve)),
    ]);
    loop.stopAppending();
    loop.closeLines();
    await storage.close();
    loop.destroyLines();
  };
  return {
    clientPort: bound.client,
    securePort: bound.secure,
    words,
    recovered,
    onServing: (call) => loop.onServing(call),
    stop: () => (stopped ??= stop()),
  };
}

/** Ticks at the pace that the peer needs now. */
function tickAsNeeded(clock: Runtime["clock"], peer: Peer, calmMs: number, tick: () => void): () => void {
  let lastMs = clock.monotonicMs();
  return clock.every(tickMsFine, () => {
    const now = clock.monotonicMs();
    if (!peer.wantsFineTicks && now - lastMs < calmMs) return;
    lastMs = now;
    tick();
  });
}

/** What the core has to know of the ensemble. */
function memberOf(ensemble: EnsembleSettings): EnsembleOptions {
  return {
    sid: ensemble.sid,
    observer: ensemble.observer,
    members: ensemble.members.map(({ sid }) => sid),
    quorum: ensemble.quorum,
    configText: ensemble.configText,
    configVersion: ensemble.configVersion,
    initLimit: ensemble.initLimit,
    syncLimit: ensemble.syncLimit,
    leaderServes: ensemble.leaderServes,
    settleMs: 200,
    // Who asks without a vote disturbs nobody's election, and only hears of its end by asking.
    notificationMsMin: ensemble.observer ? 100 : 200,
    notificationMsMax: ensemble.observer ? 500 : 3_000,
    observerElectionDelayMs: ensemble.observerElectionDelayMs,
    historyTxnsMin: ensemble.historyTxnsMin,
    historyBytesMax: historyBytesDefault,
    snapshotSizeFactor: ensemble.snapshotSizeFactor,
    snapSyncsMax: ensemble.snapSyncsMax,
    diffSyncsMax: ensemble.diffSyncsMax,
    observerMasters: ensemble.observerMasterPort > 0,
  };
}
