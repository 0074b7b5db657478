/**
 * Known keys: what a `zoo.cfg` may hold that does nothing here, or nothing yet.
 *
 * A file from a Java ensemble has to start as it is, and its owner has to learn what no longer acts.
 * So each key is known by name: one warning for what is ignored, none for what is harmless, and a
 * refusal for what guards a door that would otherwise stand open.
 *
 * Always true: a key is in this list or in the table of `config_keys.ts`, never in both.
 */
import { keys, type KeySpec, type Use } from "./config_keys.ts";

type Row = readonly [key: string, standard: string, doc: string];

const met: readonly Row[] = [
  ["autopurge.purgeInterval", "0", "Old data is always cleared away, so there is nothing to schedule."],
  ["autopurge.snapRetainCount", "3", "Old data is always cleared away, so there is nothing to count."],
  ["serverCnxnFactory", "", "There is one network layer, and it has TLS."],
  ["ssl.authProvider", "x509", "Client certificates are checked by the TLS layer."],
  ["snapshot.trust.empty", "false", "An empty data directory is always a fresh start."],
];

/** Beside a guard that stops the start, or of another's inner workings: harmless as they stand. */
const ensembleMet: readonly Row[] = [
  ["ssl.quorum.", "", "TLS material for members; of use with `sslQuorum` alone."],
  ["quorum.auth.learner.saslLoginContext", "QuorumLearner", "Of use with SASL between members alone."],
  ["quorum.auth.server.saslLoginContext", "QuorumServer", "Of use with SASL between members alone."],
  ["quorum.auth.kerberos.servicePrincipal", "zkquorum/localhost", "Of use with SASL between members alone."],
  ["multiAddress.reachabilityCheckEnabled", "true", "All addresses of a server are tried at once."],
  ["multiAddress.reachabilityCheckTimeoutMs", "1000", "All addresses of a server are tried at once."],
  ["leader.maxTimeToWaitForEpoch", "-1", "A leader that gets no followers gives up by `initLimit`."],
  ["leaderConnectDelayDuringRetryMs", "100", "A learner tries its leader again after some 15 ms."],
];

const later: readonly Row[] = [
  ["fastleader.minNotificationInterval", "200", "The pace of an election is the server's own."],
  ["fastleader.maxNotificationInterval", "60000", "The pace of an election is the server's own."],
  [
    "quorumCnxnTimeoutMs",
    "-1",
    "How long a member that connects may take to say who it is: `syncLimit` ticks.",
  ],
  ["observer.reconnectDelayMs", "0", "A random wait of observers before they connect."],
  ["observerMaster.sizeLimit", "33554432", "Bytes that a follower holds for observers that come late."],
  ["forceSnapshotSync", "false", "Learners always get the whole tree."],
  ["db.autocreate", "true", "`false`: an empty server has no vote until it has caught up."],
  ["largeRequestMaxBytes", "104857600", "Bytes of large requests in flight."],
  ["largeRequestThreshold", "-1", "What counts as a large request."],
  ["request_throttle_max_requests", "0", "The request throttle."],
  ["request_throttle_stall_time", "100", "The request throttle."],
  ["request_throttle_drop_stale", "true", "The request throttle."],
  ["request_stale_connection_check", "true", "The request throttle."],
  ["request_stale_latency_check", "false", "The request throttle."],
  ["request_throttler.shutdownTimeout", "10000", "The request throttle."],
  ["throttled_op_wait_time", "0", "The request throttle."],
  ["connection_throttle_tokens", "0", "The connection throttle."],
  ["connection_throttle_fill_time", "1", "The connection throttle."],
  ["connection_throttle_fill_count", "1", "The connection throttle."],
  ["connection_throttle_freeze_time", "-1", "The connection throttle."],
  ["connection_throttle_drop_increase", "0.02", "The connection throttle."],
  ["connection_throttle_drop_decrease", "0.002", "The connection throttle."],
  ["connection_throttle_decrease_ratio", "0", "The connection throttle."],
  ["connection_throttle_weight_enabled", "false", "The connection throttle."],
  ["connection_throttle_global_session_weight", "3", "The connection throttle."],
  ["connection_throttle_local_session_weight", "1", "The connection throttle."],
  ["connection_throttle_renew_session_weight", "2", "The connection throttle."],
  ["enableEagerACLCheck", "false", "ACLs checked before a request is forwarded."],
  ["serializeLastProcessedZxid.enabled", "true", "The last zxid in snapshots."],
  ["audit.enable", "false", "The audit log."],
  ["superUser", "", "The super user of SASL."],
  ["superUser.", "", "More super users of SASL."],
  ["X509AuthenticationProvider.superUser", "", "The super user of x509."],
  ["ensembleAuthName", "", "The `ensemble` scheme."],
  ["IPAuthenticationProvider.usexforwardedfor", "false", "The `ip` scheme behind a proxy."],
  ["allowSaslFailedClients", "false", "SASL."],
  ["client.portUnification", "false", "TLS and plaintext on one port."],
  ["client.certReload", "false", "Certificates read anew when they change."],
  ["ssl.protocol", "", "The version of TLS; the runtime's own choice holds."],
  ["ssl.enabledProtocols", "", "The versions of TLS; the runtime's own choice holds."],
  ["ssl.ciphersuites", "", "The ciphers of TLS; the runtime's own choice holds."],
  ["ssl.trustStore.password", "", "Certificates in PEM have no password."],
  ["ssl.trustStore.passwordPath", "", "Certificates in PEM have no password."],
  ["ssl.hostnameVerification", "true", "Host names in certificates of peers and servers."],
  ["ssl.allowReverseDnsLookup", "false", "Host names in certificates."],
  ["ssl.handshakeDetectionTimeoutMillis", "5000", "TLS and plaintext on one port."],
  ["admin.portUnification", "false", "HTTP and HTTPS on the admin port."],
  ["admin.idleTimeout", "30000", "Idle HTTP connections."],
  ["admin.rateLimiterIntervalInMS", "300000", "Snapshot and restore over HTTP."],
  ["admin.snapshot.enabled", "true", "Snapshot over HTTP."],
  ["admin.restore.enabled", "true", "Restore over HTTP."],
  ["metricsProvider.httpsPort", "-1", "Metrics over HTTPS."],
  ["metricsProvider.ssl.", "", "Metrics over HTTPS."],
  ["netty.server.outstandingHandshake.limit", "-1", "TLS handshakes at once."],
];

const guards: readonly Row[] = [
  ["sessionRequireClientSASLAuth", "false", "SASL, and no client without it."],
  ["admin.forceHttps", "false", "The admin endpoint over HTTPS alone."],
  ["admin.needClientAuth", "false", "Client certificates on the admin endpoint."],
  ["ssl.clientHostnameVerification", "false", "Host names in client certificates."],
  ["ssl.crl", "false", "Revoked certificates."],
  ["ssl.ocsp", "false", "Revoked certificates."],
];

const java: readonly Row[] = [
  ["preAllocSize", "65536", "Pre-allocation of Java's log files."],
  ["snapCount", "100000", "When Java writes a snapshot; here the tree on disk follows at its own pace."],
  [
    "snapSizeLimitInKb",
    "4194304",
    "When Java writes a snapshot; here the tree on disk follows at its own pace.",
  ],
  ["txnLogSizeLimitInKb", "-1", "When Java begins a new log file."],
  ["flushDelay", "0", "Java's group commit; here the log batches by itself."],
  ["maxWriteQueuePollTime", "", "Java's group commit; here the log batches by itself."],
  ["maxBatchSize", "1000", "Java's group commit; here the log batches by itself."],
  ["snapshot.compression.method", "", "Compression of Java's snapshot files."],
  ["maxResponseCacheSize", "400", "A cache of Java's replies."],
  ["maxGetChildrenResponseCacheSize", "400", "A cache of Java's replies."],
  ["learner.asyncSending", "false", "A thread of Java's learners."],
  ["learner.closeSocketAsync", "false", "A thread of Java's learners."],
  ["leader.closeSocketAsync", "false", "A thread of Java's leader."],
  ["leader.ackLoggingFrequency", "1000", "Java's log lines."],
  ["leader.nodelay", "true", "A socket option of Java's leader."],
  ["follower.nodelay", "true", "A socket option of Java's followers."],
  ["forward_learner_requests_to_commit_processor_disabled", "false", "Java's request pipeline."],
  ["follower.skipLearnerRequestToNextProcessor", "false", "Java's request pipeline."],
  ["quorum.cnxn.threads.size", "20", "Java's threads."],
  ["oraclePath", "", "The two-server oracle."],
  ["emulate353TTLNodes", "false", "TTL nodes as ZooKeeper 3.5.3 stored them."],
  ["jvm.pause.monitor", "false", "Pauses of the Java virtual machine."],
  ["jvm.pause.warn-threshold.ms", "10000", "Pauses of the Java virtual machine."],
  ["jvm.pause.info-threshold.ms", "1000", "Pauses of the Java virtual machine."],
  ["jvm.pause.sleep.time.ms", "500", "Pauses of the Java virtual machine."],
  ["watchManagerName", "", "How Java keeps watches."],
  ["watcherCleanThreadsNum", "2", "How Java keeps watches."],
  ["watcherCleanThreshold", "1000", "How Java keeps watches."],
  ["watcherCleanIntervalInSeconds", "600", "How Java keeps watches."],
  ["maxInProcessingDeadWatchers", "-1", "How Java keeps watches."],
  ["bitHashCacheSize", "10", "How Java keeps watches."],
  ["audit.impl.class", "", "A Java class for the audit log."],
  ["pathStats.", "", "Java's statistics of paths."],
  ["messageTracker.", "", "Java's tracker of messages."],
  ["intBufferStartingSizeBytes", "1024", "Java's buffers."],
  ["nio.", "", "Java's NIO network layer."],
  ["netty.", "", "Java's Netty network layer."],
  ["commitProcessor.", "", "Java's request pipeline."],
  ["jmx.", "", "Java's management beans."],
  ["controllerPort", "", "Java's test controller."],
  ["fips-mode", "true", "Java's FIPS mode."],
  ["ssl.sslProvider", "JDK", "Java's TLS library."],
  ["ssl.context.supplier.class", "", "A Java class for TLS."],
  ["admin.httpVersion", "11", "Java's HTTP server."],
  ["metricsProvider.", "", "Java's metrics library."],
  ["client.secure", "", "A setting of Java clients."],
  ["clientCnxnSocket", "", "A setting of Java clients."],
  ["request.timeout", "0", "A setting of Java clients."],
  ["disableAutoWatchReset", "false", "A setting of Java clients."],
  ["sasl.", "", "SASL, which is not offered here."],
  ["kerberos.", "", "Kerberos, which is not offered here."],
  ["security.", "", "Kerberos, which is not offered here."],
  ["server.principal", "", "Kerberos, which is not offered here."],
  ["server.realm", "", "Kerberos, which is not offered here."],
  ["requireKerberosConfig", "false", "Kerberos, which is not offered here."],
  ["kinit", "", "Kerberos, which is not offered here."],
  ["letAnySaslUserDoX", "", "SASL, which is not offered here."],
  ["SASLAuthenticationProvider.superPassword", "", "SASL, which is not offered here."],
  ["java.security.", "", "SASL, which is not offered here."],
  ["DigestAuthenticationProvider.", "", "More of Java's digest provider."],
  ["log.", "", "Java's logging."],
  ["root.logger", "", "Java's logging."],
  ["console.threshold", "", "Java's logging."],
];

/** Their Java property has no `zookeeper.` prefix. */
const bareNames: ReadonlySet<string> = new Set([
  "leader.nodelay",
  "follower.nodelay",
  "java.security.",
]);
/** The integers among them that Apache reads strictly, so a wrong one stops the start there and here. */
const strict: ReadonlyMap<string, "interval" | "integer"> = new Map([
  ["autopurge.purgeInterval", "interval"],
  ["autopurge.snapRetainCount", "integer"],
]);

function rows(use: Use, from: readonly Row[]): [string, KeySpec][] {
  return from.map(([key, standard, doc]) => {
    const spec: KeySpec = {
      use,
      kind: strict.get(key) ?? (use === "guards" ? "boolean" : null),
      toml: null,
      grammar: strict.has(key) ? "core" : "property",
      standard,
      doc,
      ...(key.endsWith(".") ? { prefix: true as const } : {}),
      ...(bareNames.has(key) ? { bare: true as const } : {}),
      ...(/password/i.test(key) ? { secret: true as const } : {}),
    };
    return [key, spec];
  });
}

/** Every key there is, by its classic name; families end in a dot. */
export const allKeys: ReadonlyMap<string, KeySpec> = new Map<string, KeySpec>([
  ...Object.entries(keys),
  ...rows("met", met),
  ...rows("met", ensembleMet),
  ...rows("later", later),
  ...rows("guards", guards),
  ...rows("java", java),
  ["authProvider.", {
    use: "acts",
    kind: "text",
    toml: null,
    grammar: "property",
    standard: "",
    doc: "Java classes of authentication schemes; those of `ip`, `digest` and `x509` are built in.",
    prefix: true,
  }],
]);

const families = [...allKeys].filter(([, spec]) => spec.prefix === true)
  .sort(([a], [b]) => b.length - a.length);
const tomlNames: ReadonlyMap<string, string> = new Map(
  [...allKeys].flatMap(([key, spec]) => spec.toml === null ? [] : [[spec.toml, key] as const]),
);

/** The row of a name: its own, or that of its family. */
export function specOf(key: string): { readonly name: string; readonly spec: KeySpec } | null {
  const own = allKeys.get(key);
  if (own !== undefined) return { name: key, spec: own };
  const family = families.find(([name]) => key.startsWith(name));
  return family === undefined ? null : { name: family[0], spec: family[1] };
}

export function keyOfToml(path: string): string | null {
  const own = tomlNames.get(path);
  if (own !== undefined) return own;
  for (const [key, { toml }] of families) {
    if (toml !== null && path.startsWith(toml)) return `${key}${path.slice(toml.length)}`;
  }
  return null;
}

/** Our own words for a reader of TOML: every classic name that has a path there becomes that path. */
export function inTomlWords(text: string): string {
  return text.replace(/[\w.]*\w/g, (word) => {
    const found = specOf(word);
    if (found === null || found.spec.toml === null) return word;
    return `${found.spec.toml}${word.slice(found.name.length)}`;
  });
}

/** The known name nearest to a misspelt one, or null when none is near. */
export function nearest(name: string, format: "classic" | "toml"): string | null {
  if (name.length > 64) return null;
  const names = format === "toml" ? [...tomlNames.keys()] : [...allKeys.keys()];
  const lower = name.toLowerCase();
  const allowance = Math.max(1, Math.min(3, Math.floor(name.length / 4)));
  let best: { name: string; distance: number } | null = null;
  for (const candidate of names) {
    if (candidate.endsWith(".") || Math.abs(candidate.length - name.length) > allowance) continue;
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance <= allowance && (best === null || distance < best.distance)) {
      best = { name: candidate, distance };
    }
  }
  return best?.name ?? null;
}

/** Insertions, deletions, exchanges, and swaps of neighbours. Both are short: the caller sees to it. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last: number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row: number[] = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const exchange = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, exchange);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
