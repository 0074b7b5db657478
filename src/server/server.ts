/**
 * Server: one peer with its storage, its ports and its admin endpoint, from start to stop.
 *
 * The client port is open before the data is loaded, so that words are answered and nobody takes a
 * long load for a dead server; clients wait for a moment or are turned away until it serves. The other
 * members are met when everything is in memory.
 */
import { Peer } from "../core/peer/peer.ts";
import { makeShellCounters, makeStatusSource } from "../core/peer/status_source.ts";
import { historyBytesDefault, lengthsOf } from "../core/base/limits.ts";
import { zxidHex } from "../core/base/zxid.ts";
import type { EnsembleOptions } from "../core/zab/ensemble.ts";
import { acceptLine, LineCounts } from "../net/client_listener.ts";
import type { Runtime, TcpListener, TcpListenOptions } from "../runtime/ports.ts";
import type { Recovered, Storage } from "../storage/storage.ts";
import type { EnsembleSettings, ServerSettings } from "./config_types.ts";
import { EnsembleLines } from "./ensemble_lines.ts";
import { answerPieces, traceMaskDefault, wordBytes, wordOf, type WordSource } from "./four_letter_words.ts";
import { slices } from "./slices.ts";
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

/** Told of by words and the admin endpoint from here on. */
export interface MadeServer {
  readonly words: WordSource;
  /** Opens the client port, loads the data, and takes part. Rejects with what the disk or the ports say. */
  start(): Promise<RunningServer>;
}

export interface RunningServer {
  /** The ports as bound. */
  readonly clientPort: number;
  readonly securePort: number;
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

export function makeServer(parts: ServerParts): MadeServer {
  const { runtime, settings, storage, logger, onFatal } = parts;
  const { clock } = runtime;
  const peer = new Peer({
    serverId: settings.serverId,
    tickMs: settings.tickMs,
    sessionTimeoutMsMin: settings.sessionTimeoutMsMin,
    sessionTimeoutMsMax: settings.sessionTimeoutMsMax,
    digestEnabled: settings.digestEnabled,
    lengths: lengthsOf(settings.frameBytesMax, settings.frameExtraBytes),
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
    watchesPerConnectionMax: settings.watchesPerConnectionMax || Infinity,
    watchesMax: settings.watchesMax || Infinity,
    outstandingMax: settings.outstandingRequestsMax,
    ensemble: settings.ensemble === null ? null : memberOf(settings.ensemble),
    bornWallMs: clock.wallMs(),
    bornMonoMs: clock.monotonicMs(),
    hashSeed: runtime.process.randomU32(),
  });

  storage.onNote = (message) => logger.error("storage_mended", message);
  storage.onFailure = (error) => onFatal(error.message);
  const counters = makeShellCounters();
  const source = makeStatusSource(peer, counters, clock);
  const bound = { client: settings.clientPort, secure: settings.secureClientPort };
  const words = {
    peer: source,
    storage,
    settings,
    process: runtime.process,
    clock,
    traceMask: { value: traceMaskDefault },
    ports: bound,
    load: { recovered: null as Recovered | null },
  };
  const loop = new Loop({
    peer,
    storage,
    clock,
    logger,
    counters,
    limits: settings,
    fatal: onFatal,
    words: {
      bytes(head) {
        const word = wordOf(head);
        return word === null ? 0 : wordBytes(word, settings);
      },
      answer(asked, secure) {
        const word = wordOf(asked);
        const pieces = word === null ? [] : answerPieces(word, words, { secure, rest: asked.subarray(4) });
        return slices(pieces, clock);
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
  const closeListeners = () => Promise.all(listeners.map((listener) => listener.close()));
  const listenToClients = async (): Promise<void> => {
    const common = {
      backlog: settings.clientPortListenBacklog,
      keepAlive: settings.clientTcpKeepAlive,
      onRefused: (why: string) => loop.refused(why),
    };
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
  };
  const load = async (): Promise<void> => {
    const recovered = await storage.recover(peer.loader());
    for (const note of recovered.notes) logger.warn("recovery_note", note);
    words.load.recovered = recovered;
    peer.begin(recovered, clock.monotonicMs());
    logger.info("recovered", "Database is loaded", {
      zxid: zxidHex(recovered.zxidLast),
      znodes: peer.tree.liveCount,
      replayed: recovered.txnsReplayed,
      tookMs: Math.round(recovered.tookMs),
    });
  };
  const { ensemble } = settings;
  const lines = ensemble === null ? null : new EnsembleLines({
    runtime,
    peer,
    ensemble,
    tickMs: settings.tickMs,
    logger,
    turn: () => loop.turn(),
  });
  const start = async (): Promise<RunningServer> => {
    const stopWaiting = clock.every(tickMsMember, () => loop.tick());
    try {
      await listenToClients();
      await load();
      stopWaiting();
      if (lines !== null) {
        loop.join(lines);
        await lines.start();
      }
    } catch (error) {
      await closeListeners();
      loop.destroyLines();
      throw error;
    } finally {
      stopWaiting();
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
      await closeListeners();
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
      onServing: (call) => loop.onServing(call),
      stop: () => (stopped ??= stop()),
    };
  };
  return { words, start };
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
