/**
 * Monitor: what `mntr`, the admin command `monitor` and the metrics all tell, made once here.
 *
 * The names are those of operations.md 4.1, so that dashboards find what they look for: those that
 * there is something to tell of have a value, the rest are zeros. `mntr` keeps the classic shape
 * whatever else is switched on, and no line of it can fail `^zk_(\w+)\s+([\w\.\-]+)`.
 */
import type { LatencySummary, LearnerStatus, PeerStatus } from "../core/peer/status.ts";
import { versionText } from "../core/base/version.ts";
import type { StorageStats } from "../storage/storage.ts";
import type { WordSource } from "./four_letter_words.ts";
import {
  ensembleCounters,
  ensembleGauges,
  ensembleLatencies,
  ensembleTimes,
  peerStateText,
} from "./words_ensemble.ts";
import { javaDouble, whole } from "./words_java.ts";

/** A number that Java holds as a double: `0` is told as `0.0`. */
export interface Double {
  readonly double: number;
}

export interface Samples {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Null for a basic summary, which has no quantiles. */
  readonly quantile: ((q: number) => number) | null;
}

export type MonitorEntry =
  | { readonly kind: "text"; readonly name: string; readonly value: string }
  | { readonly kind: "gauge"; readonly name: string; readonly value: number | Double }
  /** One gauge for each key: `mntr` puts the key before the name, Prometheus makes it a label. */
  | { readonly kind: "gauge_set"; readonly name: string; readonly values: ReadonlyMap<string, number> }
  | { readonly kind: "counter"; readonly name: string; readonly value: number }
  | { readonly kind: "summary"; readonly name: string; readonly samples: Samples }
  /** One summary for each key, in the same way. */
  | { readonly kind: "summary_set"; readonly name: string; readonly sets: ReadonlyMap<string, Samples> };

export function monitorEntries(source: WordSource): MonitorEntry[] {
  const status = source.peer.status();
  return [
    { kind: "text", name: "version", value: versionText },
    { kind: "text", name: "server_state", value: status.mode },
    ...peerState(status),
    ...gauges(source, status),
    ...quotaGauges(source),
    ...counters(status),
    ...summaries(source, status),
    ...learnerSummaries(status),
    ...own(status),
  ];
}

/** What the original has no name for, after all that it has one for. */
function own(status: PeerStatus): MonitorEntry[] {
  return [
    { kind: "gauge", name: "unsent_bytes", value: status.unsentBytes },
    { kind: "counter", name: "slow_clients_closed", value: status.connectionsSlow },
    { kind: "counter", name: "watching_clients_closed", value: status.connectionsWatching },
    { kind: "counter", name: "watches_refused", value: status.watchesRefused },
  ];
}

function peerState({ ensemble }: PeerStatus): MonitorEntry[] {
  if (ensemble === null) return [];
  return [
    { kind: "text", name: "peer_state", value: peerStateText(ensemble) },
    ...(ensemble.role === "observer" && ensemble.master !== null
      ? [{ kind: "gauge" as const, name: "observer_master_id", value: ensemble.master }]
      : []),
  ];
}

/** The lines of `mntr` without their prefix, in its order. */
export function* monitorLines(
  entries: readonly MonitorEntry[],
): Generator<[string, string | number | Double]> {
  for (const entry of entries) {
    switch (entry.kind) {
      case "text":
      case "gauge":
      case "counter":
        yield [entry.name, entry.value];
        break;
      case "gauge_set":
        for (const [key, value] of entry.values) yield [`${key}_${entry.name}`, value];
        break;
      case "summary":
        yield* summaryLines(entry.name, entry.samples);
        break;
      case "summary_set":
        for (const [key, samples] of entry.sets) yield* summaryLines(`${key}_${entry.name}`, samples);
        break;
    }
  }
}

/** `mntr`: every line `zk_<name>` TAB `<value>`. */
export function mntrText(source: WordSource): string {
  let text = "";
  for (const [name, value] of monitorLines(monitorEntries(source))) {
    // A client names its znodes as it likes, and a blank in a key would end the key.
    const key = name.replace(/\W/g, "_");
    text += `zk_${key}\t${typeof value === "object" ? javaDouble(value.double) : value}\n`;
  }
  return text;
}

function* summaryLines(
  name: string,
  { count, sum, min, max, quantile }: Samples,
): Generator<[string, number | Double]> {
  yield [`avg_${name}`, { double: count === 0 ? 0 : sum / count }];
  yield [`min_${name}`, Math.floor(finite(min))];
  yield [`max_${name}`, Math.ceil(finite(max))];
  yield [`cnt_${name}`, whole(count)];
  yield [`sum_${name}`, Math.round(finite(sum))];
  if (quantile === null) return;
  yield [`p50_${name}`, Math.round(finite(quantile(0.5)))];
  yield [`p95_${name}`, Math.round(finite(quantile(0.95)))];
  yield [`p99_${name}`, Math.round(finite(quantile(0.99)))];
  yield [`p999_${name}`, Math.round(finite(quantile(0.999)))];
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function wordsOf(list: string): string[] {
  return list.trim().split(/\s+/);
}

// --------------------------------------------------------------------------------------- gauges

function gauges(source: WordSource, status: PeerStatus): MonitorEntry[] {
  const files = source.process.fileDescriptors();
  const gauge = (name: string, value: number | Double): MonitorEntry => ({
    kind: "gauge",
    name,
    value: typeof value === "number" ? whole(value) : value,
  });
  const ofEnsemble = ensembleGauges(source, status.ensemble);
  const some = (...names: string[]): MonitorEntry[] =>
    names.flatMap((name) => {
      const value = ofEnsemble.get(name);
      return value === undefined ? [] : [gauge(name, value)];
    });
  return [
    gauge("ephemerals_count", status.ephemerals),
    gauge("num_alive_connections", status.connections),
    gauge("avg_latency", { double: averageMs(status.latency) }),
    ...some("min_proposal_size"),
    gauge("outstanding_requests", status.outstanding),
    gauge("znode_count", status.znodes),
    gauge("global_sessions", status.sessions),
    gauge("non_mtls_remote_conn_count", 0),
    gauge("last_client_response_size", status.responseBytesLast),
    gauge("packets_sent", status.packetsSent),
    gauge("packets_received", status.packetsReceived),
    ...some("max_proposal_size"),
    gauge("max_client_response_size", status.responseBytesMax),
    ...some("synced_followers"),
    gauge("connection_drop_probability", { double: 0 }),
    gauge("watch_count", status.watches),
    ...some("synced_non_voting_followers", "synced_observers"),
    gauge("auth_failed_count", status.authFailed),
    gauge("min_latency", Math.floor(status.latency.minMs)),
    gauge("max_file_descriptor_count", files.max),
    gauge("approximate_data_size", status.dataBytes),
    gauge("open_file_descriptor_count", files.open),
    ...some("last_proposal_size", "pending_syncs", "leader_uptime"),
    gauge("local_sessions", 0),
    gauge("uptime", status.uptimeMs),
    gauge("max_latency", Math.ceil(status.latency.maxMs)),
    gauge("outstanding_tls_handshake", 0),
    ...some("learners"),
    gauge("min_client_response_size", status.responseBytesMin),
    gauge("non_mtls_local_conn_count", 0),
    ...some("quorum_size"),
  ];
}

/** ms, with decimals: most requests here take less than one. */
export function averageMs(latency: LatencySummary): number {
  return latency.count === 0 ? 0 : latency.sumMs / latency.count;
}

/** By top-level path. Several quotas under one are added up; -1 stays "no limit". */
function quotaGauges(source: WordSource): MonitorEntry[] {
  const sets = {
    quota_bytes_limit_per_namespace: new Map<string, number>(),
    quota_count_usage_per_namespace: new Map<string, number>(),
    quota_count_limit_per_namespace: new Map<string, number>(),
    quota_bytes_usage_per_namespace: new Map<string, number>(),
  };
  const add = (set: Map<string, number>, namespace: string, value: number) => {
    const before = set.get(namespace);
    if (before === undefined || before < 0) set.set(namespace, whole(value));
    else if (value >= 0) set.set(namespace, before + whole(value));
  };
  for (const quota of source.peer.quotas()) {
    const namespace = quota.path.split("/")[1] ?? "";
    add(sets.quota_bytes_limit_per_namespace, namespace, quota.bytesLimit);
    add(sets.quota_count_usage_per_namespace, namespace, quota.count);
    add(sets.quota_count_limit_per_namespace, namespace, quota.countLimit);
    add(sets.quota_bytes_usage_per_namespace, namespace, quota.bytes);
  }
  return Object.entries(sets)
    .filter(([, values]) => values.size > 0)
    .map(([name, values]) => ({ kind: "gauge_set", name, values }));
}

// ------------------------------------------------------------------------------------- counters

/** Group B: every name of 3.8 in its order; those without a value here are zero. */
const counterNames = wordsOf(`
  proposal_count watch_bytes outstanding_changes_removed throttled_ops stale_requests_dropped
  large_requests_rejected insecure_admin_count connection_rejected cnxn_closed_without_zk_server_running
  sessionless_connections_expired looking_count dead_watchers_queued stale_requests
  connection_drop_count learner_proposal_received_count digest_mismatches_count dead_watchers_cleared
  response_packet_cache_hits bytes_received_count add_dead_watcher_stall_time
  request_throttle_wait_count requests_not_forwarded_to_commit_processor response_packet_cache_misses
  ensemble_auth_success prep_processor_request_queued learner_commit_received_count stale_replies
  connection_request_count response_bytes ensemble_auth_fail diff_count
  response_packet_get_children_cache_misses connection_revalidate_count
  quit_leading_due_to_disloyal_voter snap_count unrecoverable_error_count unsuccessful_handshake
  commit_count stale_sessions_expired response_packet_get_children_cache_hits
  sync_processor_request_queued outstanding_changes_queued request_commit_queued ensemble_auth_skip
  skip_learner_request_to_next_processor_count tls_handshake_exceeded revalidate_count
`);

function counters(status: PeerStatus): MonitorEntry[] {
  const known: Readonly<Record<string, number>> = {
    connection_rejected: status.connectionsRejected,
    sessionless_connections_expired: status.sessionlessExpired,
    connection_drop_count: status.connectionsDropped,
    digest_mismatches_count: status.digestMismatches,
    bytes_received_count: status.bytesReceived,
    connection_request_count: status.connectionsAccepted,
    response_bytes: status.bytesSent,
    commit_count: status.commits,
    stale_sessions_expired: status.sessionsExpired,
    ...ensembleCounters(status.ensemble),
  };
  return counterNames.map((name) => ({ kind: "counter", name, value: whole(known[name] ?? 0) }));
}

// ------------------------------------------------------------------------------------ summaries

/** Group C: five lines each. */
const basicNames = wordsOf(`
  socket_closing_time proposal_process_time leader_unavailable_time node_created_watch_count
  session_queues_drained write_commit_proc_req_queued connection_token_deficit
  read_commit_proc_req_queued node_deleted_watch_count startup_txns_load_time sync_processor_queue_size
  follower_sync_time prep_processor_queue_size fsynctime inflight_snap_count
  reads_issued_from_session_queue learner_request_processor_queue_size snapshottime unavailable_time
  startup_txns_loaded reads_after_write_in_session_queue requests_in_session_queue
  write_commit_proc_issued prep_process_time pending_session_queue_size
  time_waiting_empty_pool_in_commit_processor_read_ms commit_process_time dbinittime inflight_diff_count
  netty_queued_buffer_capacity election_time commit_commit_proc_req_queued sync_processor_batch_size
  node_children_watch_count write_batch_time_in_commit_processor read_commit_proc_issued
  concurrent_request_processing_in_commit_processor observer_sync_time node_changed_watch_count
  sync_process_time startup_snap_load_time
`);
/** Group D: nine lines each. */
const advancedNames = wordsOf(`
  prep_processor_queue_time_ms jvm_pause_time_ms close_session_prep_time read_commitproc_time_ms
  updatelatency local_write_committed_time_ms request_throttle_queue_time_ms readlatency
  quorum_ack_latency om_commit_process_time_ms read_final_proc_time_ms commit_propagation_latency
  dead_watchers_cleaner_latency write_final_proc_time_ms proposal_ack_creation_latency proposal_latency
  om_proposal_process_time_ms sync_processor_queue_and_flush_time_ms propagation_latency
  server_write_committed_time_ms sync_processor_queue_time_ms sync_processor_queue_flush_time_ms
  write_commitproc_time_ms
`);

const samplesNone: Samples = { count: 0, sum: 0, min: 0, max: 0, quantile: null };
const samplesNoneAdvanced: Samples = { ...samplesNone, quantile: () => 0 };

function summaries(source: WordSource, status: PeerStatus): MonitorEntry[] {
  const { read, write, append } = status.stages;
  const stats = source.storage.stats();
  const recovered = source.load?.recovered ?? null;
  const basic: Readonly<Record<string, Samples>> = {
    fsynctime: {
      count: stats.commits,
      sum: stats.commitMsTotal,
      min: 0,
      max: stats.commitMsMax,
      quantile: null,
    },
    snapshottime: checkpointSamples(stats),
    sync_processor_batch_size: batchSamples(stats),
    node_created_watch_count: oneEach(status.events.created),
    node_deleted_watch_count: oneEach(status.events.deleted),
    node_changed_watch_count: oneEach(status.events.dataChanged),
    node_children_watch_count: oneEach(status.events.childrenChanged),
    ...(recovered === null ? {} : {
      dbinittime: once(recovered.tookMs),
      startup_txns_loaded: once(recovered.txnsReplayed),
    }),
    ...mapped(ensembleTimes(source, status.ensemble), basicSamples),
  };
  const advanced: Readonly<Record<string, Samples>> = {
    readlatency: latencySamples(read),
    updatelatency: latencySamples(write),
    sync_processor_queue_and_flush_time_ms: latencySamples(append),
    ...mapped(ensembleLatencies(status.ensemble, append), latencySamples),
  };
  return [
    ...basicNames.map((name): MonitorEntry => ({
      kind: "summary",
      name,
      samples: basic[name] ?? samplesNone,
    })),
    ...advancedNames.map((name): MonitorEntry => ({
      kind: "summary",
      name,
      samples: advanced[name] ?? samplesNoneAdvanced,
    })),
  ];
}

/**
 * By learner, on a leader. Nothing is queued here as packets (see `learner_unsent_bytes` among the
 * metrics), so two of the original's three are names without samples.
 */
function learnerSummaries({ ensemble }: PeerStatus): MonitorEntry[] {
  if (ensemble === null || ensemble.learners.length === 0) return [];
  const { learners } = ensemble;
  const set = (name: string, samples: (learner: LearnerStatus) => Samples): MonitorEntry => ({
    kind: "summary_set",
    name,
    sets: new Map(learners.map((learner) => [String(learner.sid), samples(learner)])),
  });
  return [
    set("learner_handler_qp_size", () => samplesNone),
    set("learner_handler_qp_time_ms", () => samplesNoneAdvanced),
    set("ack_latency", ({ ackTimes }) => latencySamples(ackTimes)),
  ];
}

function mapped(
  times: Readonly<Record<string, LatencySummary>>,
  samples: (latency: LatencySummary) => Samples,
): Record<string, Samples> {
  return Object.fromEntries(Object.entries(times).map(([name, latency]) => [name, samples(latency)]));
}

function basicSamples(latency: LatencySummary): Samples {
  return { ...latencySamples(latency), quantile: null };
}

function latencySamples(latency: LatencySummary): Samples {
  return {
    count: latency.count,
    sum: latency.sumMs,
    min: latency.minMs,
    max: latency.maxMs,
    quantile: (q) => latency.quantileMs(q),
  };
}

/** The tree table takes the place of snapshots. Only its last checkpoint is timed, so it stands for all. */
function checkpointSamples(stats: StorageStats): Samples {
  const last = stats.checkpointMsLast;
  return { count: stats.checkpoints, sum: last * stats.checkpoints, min: last, max: last, quantile: null };
}

/** Of the sizes only the average is known, so it stands for the extremes too. */
function batchSamples(stats: StorageStats): Samples {
  const size = stats.commits === 0 ? 0 : stats.txns / stats.commits;
  return { count: stats.commits, sum: stats.txns, min: size, max: size, quantile: null };
}

function once(value: number): Samples {
  return { count: 1, sum: value, min: value, max: value, quantile: null };
}

function oneEach(count: number): Samples {
  return count === 0 ? samplesNone : { count, sum: count, min: 1, max: 1, quantile: null };
}
