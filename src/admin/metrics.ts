/**
 * Metrics: everything that `mntr` tells and more, in Prometheus' text form (operations.md 4.3).
 *
 * Nothing is counted here. The counts exist already, in the peer and in its histograms, so each
 * scrape makes a registry anew from one reading of them. Names are those of the original's provider,
 * without `zk_`, so that its alert rules go on working; latencies by stage are histograms in seconds.
 */
import Registry, { type Family, type Sample } from "prom-client/lib/registry.js";
import { zookeeperVersion, zooletVersion } from "../core/base/version.ts";
import type { WordSource } from "../server/four_letter_words.ts";
import { txnsBetween } from "../server/words_ensemble.ts";
import { monitorEntries, type MonitorEntry, type Samples } from "../server/words_monitor.ts";
import { ensembleFamilies } from "./metrics_ensemble.ts";
import { finite, histogramSamples, one } from "./metrics_family.ts";

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

export async function metricsText(source: WordSource): Promise<string> {
  const registry = new Registry();
  const families = [
    ...monitorEntries(source).flatMap(familyOfEntry),
    ...ownFamilies(source),
    ...ensembleFamilies(source.peer.status()),
    ...processFamilies(source),
  ];
  for (const family of families) registry.registerMetric({ name: family.name, get: async () => family });
  return await registry.metrics();
}

/** Text has no place among numbers, so `version` and `server_state` become labels further down. */
function familyOfEntry(entry: MonitorEntry): Family[] {
  const { name } = entry;
  switch (entry.kind) {
    case "text":
      return [];
    case "gauge":
      return [{
        ...one(name, typeof entry.value === "number" ? entry.value : entry.value.double),
        type: "gauge",
      }];
    case "counter":
      return [{ ...one(name, entry.value), type: "counter" }];
    case "gauge_set":
      return [{
        name,
        help: name,
        type: "gauge",
        values: [...entry.values].map(([key, value]) => ({ value, labels: { key } })),
      }];
    case "summary":
      return [{ name, help: name, type: "summary", values: summarySamples(name, entry.samples, {}) }];
    case "summary_set":
      return [{
        name,
        help: name,
        type: "summary",
        values: [...entry.sets].flatMap(([key, samples]) => summarySamples(name, samples, { key })),
      }];
  }
}

function summarySamples(name: string, samples: Samples, labels: Record<string, string>): Sample[] {
  const { count, sum, quantile } = samples;
  // A quantile of nothing does not exist, and 0 would be taken for a very good one.
  const quantiles = quantile === null || count === 0 ? [] : [0.5, 0.9, 0.95, 0.99, 0.999].map((q) => ({
    value: finite(quantile(q)),
    labels: { ...labels, quantile: String(q) },
  }));
  return [
    ...quantiles,
    { value: finite(sum), labels, metricName: `${name}_sum` },
    { value: finite(count), labels, metricName: `${name}_count` },
  ];
}

function ownFamilies(source: WordSource): Family[] {
  const status = source.peer.status();
  const storage = source.storage.stats();
  const { runtime, runtimeVersion } = source.process.info;
  const labelled = (labels: Record<string, string>): Sample[] => [{ value: 1, labels }];
  return [
    {
      name: "zookeeper_build_info",
      help: "Which server this is, and the version of ZooKeeper that it stands in for",
      type: "gauge",
      values: labelled({
        version: zookeeperVersion,
        zoolet: zooletVersion,
        runtime: `${runtime} ${runtimeVersion}`,
      }),
    },
    {
      name: "server_state",
      help: "1 for the state that the server is in",
      type: "gauge",
      values: labelled({ state: status.mode }),
    },
    {
      name: "sync_mode",
      help: "1 for the way of writing the log: full waits for fsync, off does not",
      type: "gauge",
      values: labelled({ mode: source.settings.sync }),
    },
    {
      name: "request_latency_seconds",
      help:
        "Where the time of a request goes: reads, writes, and of these the wait for a durable log (append)",
      type: "histogram",
      values: [
        ...histogramSamples("request_latency_seconds", { stage: "read" }, status.stages.read),
        ...histogramSamples("request_latency_seconds", { stage: "write" }, status.stages.write),
        ...histogramSamples("request_latency_seconds", { stage: "append" }, status.stages.append),
      ],
    },
    {
      name: "requests_total",
      help: "Requests by operation",
      type: "counter",
      values: [...status.requestsByOp].map(([op, value]) => ({ value, labels: { op } })),
    },
    {
      name: "watch_events_total",
      help: "Watch events sent by kind",
      type: "counter",
      values: Object.entries(status.events).map(([event, value]) => ({ value, labels: { event } })),
    },
    {
      ...one("serving", status.serving ? 1 : 0),
      help: "1 while the server serves clients, as /health tells it",
      type: "gauge",
    },
    { ...one("storage_log_bytes", storage.logBytes), help: "Size of the transaction log", type: "gauge" },
    { ...one("storage_tree_bytes", storage.treeBytes), help: "Size of the tree table", type: "gauge" },
    {
      ...one("storage_log_lag_txns", txnsBetween(storage.zxidTree, status.zxidLast)),
      help: "Transactions in the log that the tree table does not hold yet",
      type: "gauge",
    },
    { ...one("storage_commits_total", storage.commits), help: "Batches made durable", type: "counter" },
    { ...one("storage_txns_total", storage.txns), help: "Transactions made durable", type: "counter" },
    {
      ...one("storage_commit_seconds_total", storage.commitMsTotal / 1000),
      help: "Time spent making batches durable, fsync included",
      type: "counter",
    },
    {
      ...one("storage_checkpoints_total", storage.checkpoints),
      help: "Checkpoints of the tree table",
      type: "counter",
    },
  ];
}

/** Known names of process metrics, as every Prometheus client has them. */
function processFamilies(source: WordSource): Family[] {
  const { process } = source;
  const files = process.fileDescriptors();
  const startedAt = (source.clock.wallMs() - source.peer.status().uptimeMs) / 1000;
  return [
    {
      ...one("process_cpu_seconds_total", process.cpuSeconds()),
      help: "Total user and system CPU time spent in seconds",
      type: "counter",
    },
    {
      ...one("process_start_time_seconds", startedAt),
      help: "Start time of the process since unix epoch in seconds",
      type: "gauge",
    },
    { ...one("process_open_fds", files.open), help: "Number of open file descriptors", type: "gauge" },
    { ...one("process_max_fds", files.max), help: "Maximum number of open file descriptors", type: "gauge" },
    {
      ...one("process_resident_memory_bytes", process.residentBytes()),
      help: "Resident memory size in bytes",
      type: "gauge",
    },
    {
      ...one("process_heap_used_bytes", process.memory().heapUsedBytes),
      help: "Bytes of the JavaScript heap in use",
      type: "gauge",
    },
  ];
}
