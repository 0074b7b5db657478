/**
 * Page, script: runs in the browser, so it is plain JavaScript in a string, without types and small.
 *
 * Everything from the server, and through it from clients, is put into the page as text nodes. The
 * first status comes with the page; after that it asks again every two seconds while it is looked at.
 */
export const pageScript = String.raw`
"use strict";
const everyMs = 2000, pointsMax = 90;
const byId = (id) => document.getElementById(id);
const put = (id, text) => { const el = byId(id); if (el.textContent !== text) el.textContent = text; };
const integer = (n) => Math.round(n).toLocaleString("en");
const bytes = (n) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
};
const ms = (n) => n >= 1000 ? (n / 1000).toFixed(2) + " s" : n >= 100 ? Math.round(n) + " ms"
  : n >= 1 ? n.toFixed(1) + " ms" : n > 0 ? Math.max(1, Math.round(n * 1000)) + " µs" : "0";
const span = (n) => {
  let s = Math.floor(n / 1000);
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  s %= 60;
  return d > 0 ? d + " d " + h + " h" : h > 0 ? h + " h " + m + " min" : m > 0 ? m + " min " + s + " s" : s + " s";
};
const row = (cells) => {
  const tr = document.createElement("tr");
  for (const [text, kind] of cells) {
    const td = document.createElement("td");
    if (kind === "code") { const code = document.createElement("code"); code.textContent = text; td.append(code); }
    else td.textContent = text;
    if (kind) td.className = kind === "code" || kind === "text" ? "text" : "text " + kind;
    tr.append(td);
  }
  return tr;
};

const sids = (list) => list.length === 0 ? "none" : list.join(", ");
const missing = (e) => e.role !== "leader" ? [] : e.list.filter((m) => m.voter && !m.self && m.link === null).map((m) => m.sid);

function ensembleNotes(e) {
  const notes = [], gone = missing(e);
  if (gone.length > 0 && e.phase === "broadcast") {
    notes.push((gone.length === 1 ? "Voter " + gone[0] + " does" : "Voters " + sids(gone) + " do") + " not follow. "
      + (e.survivesLoss ? "The ensemble goes on if one more is lost." : "If one more is lost, the ensemble may stop serving."));
  }
  return notes;
}

function stateOf(e, m) {
  if (m.self) return [e.state, e.phase === "broadcast" ? "good" : "waits"];
  if (m.link !== null) {
    if (m.link.phase === "broadcast") return ["in step", "good"];
    return [m.link.phase + (m.link.syncKind === null ? "" : ", " + m.link.syncKind), "waits"];
  }
  if (e.role === "leader") return m.voter ? ["not connected", "bad"] : ["not connected", "waits"];
  return m.leader ? ["leads", "good"] : ["not known here", "soft"];
}

function showEnsemble(e) {
  byId("members").replaceChildren(...e.list.map((m) => {
    const l = m.link;
    const part = m.leader ? "leader" : m.voter ? "voter" : "observer";
    const tr = row([
      [String(m.sid) + (m.self ? " (this one)" : "")], [part, "text"], stateOf(e, m),
      [m.places.length > 0 ? m.places.join(" ") : l !== null ? l.remote : "–", "code"],
      [l === null || l.role === "observer" ? "–" : integer(l.lagTxns) + (l.lagTxns === 1 ? " txn" : " txns")],
      [l === null ? "–" : bytes(l.unsentBytes)],
      [l === null || l.ack.p99Ms === null ? "–" : ms(l.ack.p99Ms)],
      [l === null || l.syncKind === null ? "–" : l.syncKind + ", " + (l.phase === "broadcast" ? ms(l.syncMs) : "going on")],
      [l === null ? "–" : ms(l.silentMs) + " ago"],
      [l === null ? "–" : span(l.connectedMs)],
    ]);
    if (m.self) tr.className = "self";
    return tr;
  }));
  put("members-note", e.leftOut > 0 ? integer(e.leftOut) + " more are not listed."
    : e.role !== "leader" && e.leader !== null ? "How the others are is known to the leader, member " + e.leader + "." : "");

  const leads = e.role === "leader";
  put("e-role", e.sid + ", " + e.state + " for " + span(e.phaseMs));
  put("e-leader", e.leader === null ? "none" : leads ? "this one" : String(e.leader) + (e.master !== null && e.master !== e.leader ? ", heard through " + e.master : ""));
  put("e-quorum", (e.votersInStep === null ? "?" : e.votersInStep) + " of " + e.voters.length + (e.observers.length > 0 ? ", observers: " + sids(e.observers) : ""));
  put("e-epoch", e.epochCurrent + (e.epochAccepted === e.epochCurrent ? "" : " (accepted " + e.epochAccepted + ")") + ", round " + e.round);
  put("e-committed", e.zxidCommitted);
  put("e-flight", integer(e.proposalsInFlight) + " to a quorum, " + integer(e.notDurableTxns) + " to our disk");
  put("e-elections", e.elections === 0 ? "none yet" : integer(e.elections) + ", last took " + ms(e.electionMsLast));
  put("e-away", ms(e.unavailableMsSum));
  put("e-sync", e.syncKindLast === null ? (e.syncMsLast === 0 ? "–" : ms(e.syncMsLast)) : e.syncKindLast + ", " + ms(e.syncMsLast));
  put("e-served", integer(e.diffSyncs) + " by diff, " + integer(e.snapSyncs) + " by snapshot, " + integer(e.learnersRefused) + " refused");
  put("e-ack", e.quorum.count === 0 ? "–" : ms(e.quorum.avgMs) + " avg, " + ms(e.quorum.p99Ms) + " p99");
  put("e-size", e.proposals === 0 ? "–" : integer(e.proposals) + (e.proposalBytesLast < 0 ? "" : ", last " + bytes(e.proposalBytesLast) + ", largest " + bytes(e.proposalBytesMax)));
  put("e-forwarded", integer(e.forwarded) + (e.pendingSyncs > 0 ? ", " + integer(e.pendingSyncs) + " syncs wait" : ""));
  put("e-packets", integer(e.quorumPacketsReceived) + " in, " + integer(e.quorumPacketsSent) + " out");
}

let before = null;
const rates = [];

function show(now) {
  document.title = now.mode + " · " + now.host + " · zoolet";
  const badge = byId("mode");
  badge.textContent = now.mode;
  badge.className = "badge " + (now.status === "ok" ? "good" : "bad");
  put("host", now.host + (now.clientPort >= 0 ? ":" + now.clientPort : ""));
  put("version", now.version.split(",")[0]);

  const notes = [];
  if (now.status !== "ok") notes.push("This server does not serve requests at the moment." + (now.reason === null ? "" : " " + now.reason + "."));
  const e = now.members;
  if (e !== null) notes.push(...ensembleNotes(e));
  if (now.sync === "off") notes.push("Sync is off: writes are acknowledged before they are on disk, and a crash of the machine may lose the last of them.");
  if (now.digestMismatches > 0) notes.push("Digest mismatches: " + integer(now.digestMismatches) + ". The tree is not what the log says it should be.");
  byId("notes").replaceChildren(...notes.map((text) => {
    const p = document.createElement("p");
    p.className = "note"; p.setAttribute("role", "status"); p.textContent = text;
    return p;
  }));

  put("zxid", now.zxid);
  put("znodes", integer(now.znodes));
  put("sessions", integer(now.sessions));
  put("connections", integer(now.connections));
  put("watches", integer(now.watches));
  put("ephemerals", integer(now.ephemerals));
  put("data", bytes(now.dataBytes));
  put("outstanding", integer(now.outstanding));

  const at = performance.now();
  let cpu = null;
  if (before !== null && at > before.at) {
    const seconds = (at - before.at) / 1000;
    // A reset of the statistics makes the counts smaller; that is no rate.
    const asked = now.packetsReceived - before.now.packetsReceived;
    rates.push(asked >= 0 ? asked / seconds : 0);
    if (rates.length > pointsMax) rates.shift();
    cpu = Math.max(0, now.cpuSeconds - before.now.cpuSeconds) / seconds;
  }
  before = { at, now };
  draw();

  byId("ensemble").hidden = e === null;
  if (e !== null) showEnsemble(e);

  byId("latency").replaceChildren(...["read", "write", "append"].map((stage) => {
    const l = now.latency[stage];
    const times = [l.avgMs, l.p50Ms, l.p95Ms, l.p99Ms, l.maxMs].map((t) => [l.count === 0 ? "–" : ms(t)]);
    return row([[stage], [integer(l.count)], ...times]);
  }));

  const s = now.storage;
  put("sync", now.sync === "off" ? "off" : "full (fsync before each answer)");
  put("dir", s.dataDir);
  put("log", bytes(s.logBytes));
  put("tree", bytes(s.treeBytes));
  put("behind", integer(s.behindTxns) + (s.behindTxns === 1 ? " txn" : " txns"));
  put("commit", s.commits === 0 ? "–" : ms(s.commitMsAvg) + " avg, " + ms(s.commitMsMax) + " max");
  put("batch", s.commits === 0 ? "–" : (s.txns / s.commits).toFixed(1) + " txns");
  put("checkpoint", s.checkpointAtMs === 0 ? "none yet" : span(Math.max(0, Date.now() - s.checkpointAtMs)) + " ago, took " + ms(s.checkpointMsLast));

  put("uptime", span(now.uptimeMs));
  put("runtime", now.runtime);
  put("pid", String(now.pid));
  put("memory", bytes(now.residentBytes));
  if (cpu !== null) put("cpu", (cpu * 100).toFixed(cpu < 0.1 ? 1 : 0) + " %");
  put("traffic", bytes(now.bytesReceived) + " in, " + bytes(now.bytesSent) + " out");
  put("expired", integer(now.sessionsExpired));
  put("rejected", integer(now.connectionsRejected));

  const clients = now.clients;
  put("clients-note", clients === null ? "Too many to list here: see the command connections."
    : clients.length === 0 ? "No client is connected." : "");
  byId("clients-table").hidden = clients === null || clients.length === 0;
  byId("clients").replaceChildren(...(clients ?? []).map((c) => row([
    [c.address, "code"], [c.session ?? "–", "code"], [c.secure ? "TLS" : "plain", "text"], [c.operationLast ?? "–", "text"],
    [c.timeoutMs === null ? "–" : c.timeoutMs / 1000 + " s"],
    [integer(c.packetsReceived)], [integer(c.packetsSent)], [integer(c.outstanding)],
    [c.latencyAvgMs === null ? "–" : ms(c.latencyAvgMs)], [c.latencyMaxMs === null ? "–" : ms(c.latencyMaxMs)],
  ])));
}

function draw() {
  const top = Math.max(1, ...rates);
  put("rate", rates.length === 0 ? "–" : integer(rates[rates.length - 1]) + " /s");
  put("rate-top", rates.length === 0 ? "" : "peak " + integer(top) + " /s");
  const points = rates.map((rate, i) => {
    const x = 300 * (pointsMax - rates.length + i) / (pointsMax - 1);
    return x.toFixed(1) + "," + (98 - 94 * rate / top).toFixed(1);
  });
  byId("line").setAttribute("points", points.join(" "));
  const first = points.length === 0 ? "300" : points[0].split(",")[0];
  byId("area").setAttribute("points", first + ",100 " + points.join(" ") + " 300,100");
}

let failures = 0;
async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error("answered " + response.status);
    show(await response.json());
    failures = 0;
    put("live", "live");
  } catch (error) {
    failures++;
    put("live", "no answer (" + (error instanceof Error ? error.message : String(error)) + "), tried " + failures + (failures === 1 ? " time" : " times"));
  }
  document.body.classList.toggle("stale", failures > 0);
}

show(JSON.parse(byId("first").textContent));
const loop = async () => { await refresh(); setTimeout(loop, everyMs); };
setTimeout(loop, everyMs);
document.addEventListener("visibilitychange", refresh);
`;
