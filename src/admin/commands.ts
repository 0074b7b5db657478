/**
 * Commands: the admin endpoint's answers, field by field as the original gives them (operations.md 3.3).
 *
 * A command is a name, its aliases and a function from the source of status to fields; the frame
 * around them (`command`, `error`) is put on in one place. Dynamic keys (paths, session ids) travel as
 * pairs, never as properties of an object, so no client can name one that means something to us.
 */
import type { SessionId } from "../core/base/zxid.ts";
import { type ConnectionStatus, type PeerStatus } from "../core/peer/status.ts";
import { versionText } from "../core/base/version.ts";
import { keys as settingKeys, type KeySpec } from "../server/config_keys.ts";
import { notServingSentence, type WordSource } from "../server/four_letter_words.ts";
import { socketText, whole } from "../server/words_java.ts";
import { averageMs, monitorEntries, monitorLines } from "../server/words_monitor.ts";
import { directoryBytes, environmentOf, isLearner, linesMax, portsOf, Sets } from "../server/words_text.ts";
import {
  type CommandError,
  leader,
  observers,
  proposalStats,
  votingView,
  zabState,
} from "./commands_ensemble.ts";
import type { JsonFields, JsonValue } from "./json.ts";
import { isSecretKey, redactConfig, redacted } from "./secrets.ts";

export interface Command {
  readonly name: string;
  readonly aliases: readonly string[];
  /** Answers an error while the server does not serve. */
  readonly needsServing: boolean;
  /** Changes something: not to be set off by a foreign page. */
  readonly changes: boolean;
  run(source: WordSource, query: URLSearchParams): JsonFields | CommandError;
}

export type { CommandError };

/** The whole answer to `<commandUrl>/<name>`. Always 200: errors are told in the body. */
export function answerCommand(name: string, source: WordSource, query: URLSearchParams): JsonFields {
  const command = commandOf(name);
  if (command === undefined) return [["command", name], ["error", `Unknown command: ${name}`]];
  if (command.needsServing && !source.peer.status().serving) {
    return [["command", name], ["error", notServingSentence]];
  }
  const result = command.run(source, query);
  if ("error" in result) return [["error", result.error], ["command", command.name]];
  return chained(result, [["command", command.name], ["error", null]]);
}

function* chained(...lists: JsonFields[]): JsonFields {
  for (const list of lists) yield* list;
}

export function commandOf(name: string): Command | undefined {
  return commandsByName.get(name);
}

// ------------------------------------------------------------------------------------ the table

type Run = Command["run"];

function command(names: string, run: Run, more: { always?: true; changes?: true } = {}): Command {
  const [name = "", ...aliases] = names.split(" ");
  return { name, aliases, run, needsServing: more.always !== true, changes: more.changes === true };
}

/** Sorted by name, as the index lists them. */
export const commands: readonly Command[] = [
  command("configuration conf config", configuration),
  command("connection_stat_reset crst", (source) => {
    source.peer.resetConnectionStats();
    return [];
  }, { changes: true }),
  command("connections cons", (source) => connectionLists(source, connectionFields)),
  command("dirs", (source) => {
    const bytes = directoryBytes(source);
    return [["datadir_size", bytes.data], ["logdir_size", bytes.log]];
  }),
  command("dump", dump),
  command("environment env envi", environmentOf, { always: true }),
  command("get_trace_mask gtmk", (source) => [["tracemask", source.traceMask.value]], { always: true }),
  command("hash", (source) => [["digests", {
    array: source.peer.digests().map(({ zxid, digest }) => ({
      object: [["zxid", zxid], ["digest", BigInt.asIntN(64, digest)], ["digest_version", 2]],
    })),
  }]]),
  command("initial_configuration icfg", (source) => {
    const text = source.settings.sourceText;
    return [["initial_configuration", text === null ? null : redactConfig(text)]];
  }),
  command("is_read_only isro", (source) => [["read_only", isReadOnly(source.peer.status())]]),
  command("last_snapshot lsnp", lastSnapshot),
  command("leader lead", leader),
  // The original answers a page of error 500 while it does not serve; the sentence is of more use.
  command("monitor mntr", (source) => [...monitorLines(monitorEntries(source))]),
  command("observer_connection_stat_reset orst", () => [], { changes: true }),
  command("observers obsr", observers),
  command("ruok", () => []),
  command("server_stats srvr", serverStats),
  command("set_trace_mask stmk", setTraceMask, { always: true, changes: true }),
  command("stat_reset srst", (source) => {
    source.peer.resetStats();
    return [];
  }, { changes: true }),
  command(
    "stats stat",
    (source) => chained(serverStats(source), connectionLists(source, connectionFieldsBrief)),
  ),
  command("system_properties sysp", systemProperties, { always: true }),
  command("voting_view", votingView),
  command("watch_summary wchs", (source) => {
    const status = source.peer.status();
    return [
      ["num_connections", status.watchConnections],
      ["num_paths", status.watchPaths],
      ["num_total_watches", status.watchesData],
    ];
  }),
  command(
    "watches wchc",
    (source) => listed("session_id_to_watched_paths", source.peer.watchesBySession(), idKey, String),
  ),
  command(
    "watches_by_path wchp",
    (source) => listed("path_to_session_ids", source.peer.watchesByPath(), String, idValue),
  ),
  command("zabstate", zabState, { always: true }),
];

const commandsByName: ReadonlyMap<string, Command> = new Map(
  commands.flatMap((command) => [command.name, ...command.aliases].map((name) => [name, command] as const)),
);

// --------------------------------------------------------------------------------- small things

/** Room for so many entries in one answer, which may be asked for a million watches. */
class Room {
  #left = linesMax;
  #cut = false;

  get spent(): boolean {
    return this.#cut;
  }

  /** Is there room for one more? Then it is taken. */
  take(): boolean {
    this.#cut ||= this.#left-- <= 0;
    return !this.#cut;
  }

  /** Only there when something is missing. */
  note(): JsonFields {
    return this.#cut ? [["cut_after", linesMax]] : [];
  }
}

function* listed<K, V>(
  name: string,
  lists: Iterable<readonly [K, Iterable<V>]>,
  keyText: (key: K) => string,
  valueOf: (value: V) => JsonValue,
): JsonFields {
  const room = new Room();
  yield [name, { object: objectOf(room, lists, keyText, valueOf) }];
  yield* room.note();
}

function* objectOf<K, V>(
  room: Room,
  lists: Iterable<readonly [K, Iterable<V>]>,
  keyText: (key: K) => string,
  valueOf: (value: V) => JsonValue,
): JsonFields {
  for (const [key, values] of lists) {
    if (room.spent) return;
    yield [keyText(key), { array: valuesOf(room, values, valueOf) }];
  }
}

function* valuesOf<V>(
  room: Room,
  values: Iterable<V>,
  valueOf: (value: V) => JsonValue | undefined,
): Iterable<JsonValue | undefined> {
  for (const value of values) {
    const shown = valueOf(value);
    if (shown !== undefined && !room.take()) return;
    yield shown;
  }
}

/** Java prints session ids signed. */
function idValue(id: SessionId): bigint {
  return BigInt.asIntN(64, id);
}

function idKey(id: SessionId): string {
  return idValue(id).toString();
}

function isReadOnly(status: PeerStatus): boolean {
  return status.mode === "read-only";
}

// ---------------------------------------------------------------------------------- the answers

function configuration(source: WordSource): JsonFields {
  const { settings } = source;
  return [
    ["client_port", portsOf(source).client],
    ["data_dir", settings.dataDir],
    ["data_log_dir", settings.dataLogDir],
    ["tick_time", settings.tickMs],
    ["max_client_cnxns", settings.connectionsPerAddressMax],
    ["min_session_timeout", settings.sessionTimeoutMsMin],
    ["max_session_timeout", settings.sessionTimeoutMsMax],
    ["server_id", settings.serverIdShown],
    ["client_port_listen_backlog", settings.clientPortListenBacklog],
    ...(settings.sync === "off" ? [["sync", "off"] as const] : []),
  ];
}

function* connectionLists(
  source: WordSource,
  fieldsOf: (connection: ConnectionStatus) => ConnectionFields,
): JsonFields {
  const room = new Room();
  for (const secure of [false, true]) {
    const shown = (connection: ConnectionStatus) =>
      connection.secure === secure ? { object: fieldsOf(connection) } : undefined;
    yield [
      secure ? "secure_connections" : "connections",
      { array: valuesOf(room, source.peer.connections(), shown) },
    ];
  }
  yield* room.note();
}

type ConnectionFields = readonly (readonly [string, JsonValue])[];

function connectionFieldsBrief(connection: ConnectionStatus): ConnectionFields {
  return [
    ["remote_socket_address", socketText(connection.remoteAddress, connection.remotePort)],
    ["interest_ops", connection.session === null ? 0 : 1],
    ["outstanding_requests", connection.outstanding],
    ["packets_received", connection.packetsReceived],
    ["packets_sent", connection.packetsSent],
  ];
}

function connectionFields(connection: ConnectionStatus): ConnectionFields {
  const { session } = connection;
  if (session === null) return connectionFieldsBrief(connection);
  return [
    ...connectionFieldsBrief(connection),
    ["session_id", idValue(session.id)],
    ["last_operation", session.operationLast],
    ["established", whole(session.establishedMs)],
    ["session_timeout", session.timeoutMs],
    ["last_cxid", session.cxidLast],
    ["last_zxid", session.zxidLast],
    ["last_response_time", whole(session.responseLastMs)],
    ["last_latency", whole(session.latencyLastMs)],
    ["min_latency", whole(session.latencyMinMs)],
    ["avg_latency", whole(session.latencyAvgMs)],
    ["max_latency", whole(session.latencyMaxMs)],
  ];
}

function* dump(source: WordSource): JsonFields {
  const sets = new Sets<SessionId>(source.settings.tickMs);
  // Only the leader knows when a session expires.
  if (!isLearner(source.peer.status())) {
    for (const { id, expiresAtMs } of source.peer.sessions()) {
      sets.add(expiresAtMs, id);
      yield null;
    }
  }
  const room = new Room();
  yield ["expiry_time_to_session_ids", {
    object: sets.sorted().map(([atMs, { members }]) => [
      String(atMs),
      { array: valuesOf(room, members, idValue) },
    ]),
  }];
  yield ["session_id_to_ephemeral_paths", {
    object: objectOf(room, source.peer.ephemerals(), idKey, String),
  }];
  yield* room.note();
}

function lastSnapshot(source: WordSource): JsonFields {
  const { checkpointAtMs, zxidTree } = source.storage.stats();
  if (checkpointAtMs === 0) return [["zxid", "ffffffffffffffff"], ["timestamp", -1]];
  return [["zxid", zxidTree.toString(16)], ["timestamp", Math.floor(checkpointAtMs / 1000)]];
}

function serverStats(source: WordSource): JsonFields {
  const status = source.peer.status();
  const bytes = directoryBytes(source);
  const responses: JsonValue = {
    object: [
      ["last_buffer_size", status.responseBytesLast],
      ["min_buffer_size", status.responseBytesMin],
      ["max_buffer_size", status.responseBytesMax],
    ],
  };
  return [
    ["version", versionText],
    ["read_only", isReadOnly(status)],
    ["server_stats", {
      object: [
        ["packets_sent", status.packetsSent],
        ["packets_received", status.packetsReceived],
        ["fsync_threshold_exceed_count", 0],
        ["client_response_stats", responses],
        ["data_dir_size", bytes.data],
        ["log_dir_size", bytes.log],
        ["provider_null", false],
        ["server_state", status.mode],
        ["last_processed_zxid", status.zxidLast],
        ["outstanding_requests", status.outstanding],
        ["avg_latency", { double: averageMs(status.latency) }],
        ["max_latency", whole(Math.ceil(status.latency.maxMs))],
        ["min_latency", whole(status.latency.minMs)],
        ["num_alive_client_connections", status.connections],
        ["uptime", whole(status.uptimeMs)],
        ["auth_failed_count", status.authFailed],
        ["non_mtlsremote_conn_count", 0],
        ["non_mtlslocal_conn_count", 0],
      ],
    }],
    ["client_response", responses],
    ...proposalStats(status),
    ["node_count", status.znodes],
  ];
}

function setTraceMask(source: WordSource, query: URLSearchParams): JsonFields | CommandError {
  const text = query.get("traceMask");
  const sentence = "setTraceMask requires long traceMask argument";
  if (text === null) return { error: sentence };
  const mask = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.replace("+", "")) : null;
  if (mask === null || BigInt.asIntN(64, mask) !== mask) return { error: `${sentence}, got ${text}` };
  source.traceMask.value = mask;
  return [["tracemask", mask]];
}

/** Settings take the place of the virtual machine's properties, under the names they have there. */
function systemProperties(source: WordSource): JsonFields {
  const system = environmentOf(source).filter(([key]) =>
    /^(os|user|java)\./.test(key) && !key.startsWith("os.memory")
  );
  const properties = new Map<string, string>(system);
  for (const [key, spec] of Object.entries<KeySpec>(settingKeys)) {
    const value = spec.shows?.(source.settings);
    if (value === undefined || value === null || value === "") continue;
    const name = spec.bare === true || key.startsWith("zoolet.") ? key : `zookeeper.${key}`;
    properties.set(name, spec.secret === true || isSecretKey(key) ? redacted : String(value));
  }
  return [...properties].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
