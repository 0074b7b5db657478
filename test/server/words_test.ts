/** The words against what Apache ZooKeeper 3.8.0 wrote in the same state; only the version differs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { versionLine } from "../../src/core/base/version.ts";
import type { ServingMode } from "../../src/core/peer/status.ts";
import { answerCommand } from "../../src/admin/commands.ts";
import { jacksonPieces } from "../../src/admin/json.ts";
import { slices } from "../../src/server/slices.ts";
import {
  answerPieces,
  answerWord,
  isWord,
  type Word,
  wordBytes,
  wordEnabled,
  wordOf,
} from "../../src/server/four_letter_words.ts";
import { javaDate, javaDouble, socketText } from "../../src/server/words_java.ts";
import { linesMax } from "../../src/server/words_text.ts";
import { connectionFake, fakeSource, latencyOf, sessionId } from "../admin/fake_source.ts";

const words = "conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs"
  .split(" ") as Word[];

const bytes = (text: string) => new TextEncoder().encode(text);

test("a word is the first four bytes, case sensitive, whatever follows", () => {
  for (const word of words) assert.equal(wordOf(bytes(word)), word);
  assert.equal(wordOf(bytes("ruok\nand more")), "ruok");
  for (const other of ["RUOK", "zzzz", "lead", "GET ", "ruo", ""]) {
    assert.equal(isWord(bytes(other)), false, other);
  }
  assert.equal(isWord(Uint8Array.of(0xff, 0xf4, 0xff, 0xfd)), false);
  assert.equal(isWord(Uint8Array.of(0, 0, 0, 45)), false);
});

test("only srvr is on without a list, isro with read-only mode, and the refusal is the one operators know", () => {
  const closed = { fourLetterWords: new Set<string>(), readOnlyMode: false };
  assert.deepEqual(words.filter((word) => wordEnabled(word, closed)), ["srvr"]);
  assert.deepEqual(words.filter((word) => wordEnabled(word, { ...closed, readOnlyMode: true })), [
    "isro",
    "srvr",
  ]);
  assert.ok(wordEnabled("mntr", { fourLetterWords: new Set(["mntr"]), readOnlyMode: false }));
  assert.ok(words.every((word) => wordEnabled(word, { fourLetterWords: "all", readOnlyMode: false })));
  const source = fakeSource({ settings: closed });
  for (const word of ["ruok", "stmk", "envi"] as const) {
    assert.equal(answerWord(word, source), `${word} is not executed because it is not in the whitelist.\n`);
  }
});

test("srvr, stat and cons read as the original wrote them", () => {
  const source = fakeSource();
  const srvr = `${versionLine}
Latency min/avg/max: 0/2.75/9
Received: 10
Sent: 9
Connections: 2
Outstanding: 0
Zxid: 0x5
Mode: standalone
Node count: 9
`;
  assert.equal(answerWord("srvr", source), srvr);
  const clients = `${versionLine}
Clients:
 /127.0.0.1:45730[1](queued=0,recved=8,sent=8)
 /127.0.0.1:45766[0](queued=0,recved=1,sent=0)

`;
  assert.equal(answerWord("stat", source), srvr.replace(`${versionLine}\n`, clients));
  assert.equal(
    answerWord("cons", source),
    ` /127.0.0.1:45730[1](queued=0,recved=8,sent=8,sid=0x1000015d6210000,lop=CREA,est=1795176574561,to=30000,lcxid=0x7,lzxid=0x5,lresp=1468951,llat=0,minlat=0,avglat=2,maxlat=9)
 /127.0.0.1:45766[0](queued=0,recved=1,sent=0)

`,
  );
});

test("each port lists only its own connections", () => {
  const secure = { ...connectionFake, secure: true, remotePort: 1 };
  const source = fakeSource({ peer: { connections: () => [connectionFake, secure] } });
  assert.doesNotMatch(answerWord("cons", source), /:1\[/);
  const told = answerWord("cons", source, { secure: true, rest: new Uint8Array(0) });
  assert.match(told, /:1\[/);
  assert.doesNotMatch(told, /:45730/);
});

test("a connection without requests has no lcxid and a zxid of -1 in 64 bits", () => {
  const session = { ...connectionFake.session!, cxidLast: -1, zxidLast: -1, operationLast: "NA" };
  const source = fakeSource({ peer: { connections: () => [{ ...connectionFake, session }] } });
  assert.match(answerWord("cons", source), /lop=NA,est=1795176574561,to=30000,lzxid=0xffffffffffffffff,/);
});

test("srvr tells of read-only mode in its second line", () => {
  const lines = answerWord("srvr", fakeSource({ status: { mode: "read-only" } })).split("\n");
  assert.equal(lines[1], "READ-ONLY mode; serving only read-only clients");
  assert.equal(lines[8], "Mode: read-only");
});

test("a log without fsync is told of behind all that parsers go through by order", () => {
  const source = fakeSource({ settings: { sync: "off" } });
  const srvr = answerWord("srvr", source);
  assert.match(srvr, /\nNode count: 9\nSync: off[^\n]*\n$/);
  assert.equal(srvr.split("\n").filter((line) => line.includes("Mode")).length, 1);
  assert.match(answerWord("conf", source), /serverId=0\nsync=off\n$/);
});

test("conf, dirs, hash and the watch words read as the original wrote them", () => {
  const source = fakeSource();
  assert.equal(
    answerWord("conf", source),
    `clientPort=23181
secureClientPort=-1
dataDir=/var/lib/zookeeper
dataDirSize=67109337
dataLogDir=/var/lib/zookeeper
dataLogSize=67109337
tickTime=2000
maxClientCnxns=60
minSessionTimeout=4000
maxSessionTimeout=40000
clientPortListenBacklog=-1
serverId=0
`,
  );
  assert.equal(answerWord("dirs", source), "datadir_size: 67109337\nlogdir_size: 67109337\n");
  assert.equal(answerWord("hash", source), "80: 9387463759\n100: 10403202430\n");
  assert.equal(answerWord("wchs", source), "1 connections watching 2 paths\nTotal watches:2\n");
  assert.equal(answerWord("wchc", source), "0x1000015d6210000\n\t/app\n\t/nope\n\n");
  assert.equal(answerWord("wchp", source), "/app\n\t0x1000015d6210000\n/nope\n\t0x1000015d6210000\n\n");
});

test("dump reads as the original wrote it", () => {
  assert.equal(
    answerWord("dump", fakeSource()),
    `SessionTracker dump:
Session Sets (1)/(1):
1 expire at Fri Nov 20 12:10:04 UTC 2026:
	0x1000015d6210000
ephemeral nodes dump:
Sessions with Ephemerals (1):
0x1000015d6210000:
	/eph
Connections dump:
Connections Sets (2)/(2):
1 expire at Fri Nov 20 12:09:50 UTC 2026:
	ip: /127.0.0.1:45766 sessionId: 0x0
1 expire at Fri Nov 20 12:10:10 UTC 2026:
	ip: /127.0.0.1:45730 sessionId: 0x1000015d6210000
`,
  );
});

test("short words have no newline, resets do", () => {
  const source = fakeSource();
  assert.equal(answerWord("ruok", source), "imok");
  assert.equal(answerWord("isro", source), "rw");
  assert.equal(answerWord("gtmk", source), "306");
  assert.equal(answerWord("crst", source), "Connection stats reset.\n");
  assert.equal(answerWord("srst", source), "Server stats reset.\n");
  assert.deepEqual(source.resets, ["connections", "stats"]);
  assert.equal(answerWord("isro", fakeSource({ status: { mode: "read-only" } })), "ro");
});

test("stmk takes eight bytes behind the word and gtmk tells them back", () => {
  const source = fakeSource();
  assert.equal(wordBytes("stmk", source.settings), 12);
  assert.equal(wordBytes("gtmk", source.settings), 4);
  // What is refused waits for no mask, as in the original.
  assert.equal(wordBytes("stmk", { fourLetterWords: new Set(["ruok"]), readOnlyMode: false }), 4);
  // The mask sits in the middle of a larger buffer, as it does in a socket's chunk.
  const chunk = Uint8Array.of(9, 9, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 9);
  assert.equal(answerWord("stmk", source, { secure: false, rest: chunk.subarray(3) }), "-2");
  assert.equal(answerWord("gtmk", source), "-2");
  assert.equal(answerWord("stmk", source, { secure: false, rest: chunk.subarray(5) }), "");
  assert.equal(answerWord("gtmk", source), "-2");
});

test("a server that does not serve says so to each word as the original does", () => {
  const source = fakeSource({ status: { serving: false, mode: "not-serving" } });
  const sentence = "This ZooKeeper instance is not currently serving requests";
  const told = new Map(words.map((word) => [word, answerWord(word, source)]));
  for (const word of "srvr stat mntr conf cons dump wchs wchc wchp dirs crst srst".split(" ") as Word[]) {
    assert.equal(told.get(word), `${sentence}\n`, word);
  }
  assert.equal(told.get("hash"), sentence);
  assert.equal(told.get("isro"), "null");
  assert.equal(told.get("ruok"), "imok");
  assert.equal(told.get("gtmk"), "306");
  assert.match(told.get("envi")!, /^Environment:\nzookeeper\.version=3\.8\.0-/);
  assert.deepEqual(source.resets, []);
});

test("envi keeps every key and its order", () => {
  const lines = answerWord("envi", fakeSource()).split("\n");
  assert.deepEqual(
    lines.slice(1, -1).map((line) => line.split("=")[0]).join(" "),
    "zookeeper.version host.name java.version java.vendor java.home java.class.path java.library.path java.io.tmpdir java.compiler os.name os.arch os.version user.name user.home user.dir os.memory.free os.memory.max os.memory.total",
  );
  assert.ok(lines.includes("os.arch=amd64"));
  assert.ok(lines.includes("os.memory.free=20MB"));
});

test("every line of mntr passes Telegraf's pattern, whatever clients name their znodes", () => {
  const quota = { countLimit: -1, bytesLimit: 7, count: 1, bytes: 1 };
  const source = fakeSource({
    peer: { quotas: () => ["/we ird<b>", "/é", "/q", "/q/deep"].map((path) => ({ path, ...quota })) },
    status: { latency: latencyOf(0.0001).summary(), uptimeMs: NaN },
  });
  const lines = answerWord("mntr", source).split("\n");
  assert.equal(lines.pop(), "");
  for (const line of lines) {
    assert.match(line, /^zk_(\w+)\s+([\w.\-]+)/);
    assert.match(line, /^zk_\w+\t[^\t]+$/);
    assert.doesNotMatch(line, /NaN|Infinity|undefined/);
  }
  assert.match(lines[0]!, /^zk_version\t3\.8\.0-/);
  assert.equal(lines[1], "zk_server_state\tstandalone");
  assert.ok(lines.includes("zk_we_ird_b__quota_bytes_limit_per_namespace\t7"));
  assert.ok(lines.includes("zk_q_quota_bytes_limit_per_namespace\t14"));
  assert.ok(lines.includes("zk_q_quota_count_limit_per_namespace\t-1"));
  assert.ok(lines.includes("zk_avg_latency\t1.0E-4"));
});

test("mntr has what dashboards ask for, with values where there are some", () => {
  const told = new Map(
    answerWord("mntr", fakeSource()).split("\n").map((line) => line.split("\t") as [string, string]),
  );
  const expected: Record<string, string> = {
    zk_num_alive_connections: "2",
    zk_avg_latency: "2.75",
    zk_max_latency: "9",
    zk_znode_count: "9",
    zk_watch_count: "3",
    zk_approximate_data_size: "74",
    zk_uptime: "38230",
    zk_connection_drop_probability: "0.0",
    zk_bytes_received_count: "363",
    zk_response_bytes: "234",
    zk_connection_rejected: "1",
    zk_cnt_fsynctime: "5",
    zk_avg_fsynctime: "0.2",
    zk_cnt_readlatency: "1",
    zk_avg_updatelatency: "3.5",
    zk_p99_updatelatency: "4",
    zk_p999_readlatency: "0",
    zk_avg_sync_processor_batch_size: "1.6",
    zk_cnt_election_time: "0",
    zk_avg_election_time: "0.0",
    zk_looking_count: "0",
    zk_unsent_bytes: "4711",
    zk_slow_clients_closed: "2",
    zk_watching_clients_closed: "1",
    zk_watches_refused: "3",
    zk_q_quota_count_limit_per_namespace: "5",
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(told.get(key), value, key);
  for (const name of ["commit_process_time", "snapshottime"]) assert.equal(told.has(`zk_p50_${name}`), false);
});

test("a list that would be endless stops and says so", () => {
  const paths = Array.from({ length: linesMax + 10 }, (_, i) => `/p${i}`);
  const source = fakeSource({
    peer: { watchesBySession: () => new Map([[sessionId, paths], [1n as typeof sessionId, ["/x"]]]) },
  });
  const lines = answerWord("wchc", source).split("\n");
  assert.equal(lines.length, linesMax + 3);
  assert.equal(lines[linesMax], `... cut after ${linesMax} lines`);
});

test("a long list is made a slice at a time, as words and as JSON", () => {
  let read = 0;
  function* many<T>(entry: (i: number) => T): Generator<T> {
    for (let i = 0; i < 150_000; i++) {
      read++;
      yield entry(i);
    }
  }
  const id = (i: number) => BigInt(i + 1) as typeof sessionId;
  const source = fakeSource({
    peer: {
      connections: () => many(() => connectionFake),
      sessions: () => many((i) => ({ id: id(i), timeoutMs: 1000, expiresAtMs: 1000 * (i % 100) })),
      ephemerals: () => [[sessionId, many((i) => `/e${i}`)]],
      watchesBySession: () => [[sessionId, many((i) => `/w${i}`)]],
      watchesByPath: () => many((i) => [`/p${i}`, [sessionId]]),
    },
  });
  const pieces = [
    ...(["cons", "stat", "dump", "wchc", "wchp"] as Word[]).map((word) =>
      answerPieces(word, source, { secure: false, rest: new Uint8Array(0) })
    ),
    ...["connections", "stats", "dump", "watches", "watches_by_path"].map((name) =>
      jacksonPieces(answerCommand(name, source, new URLSearchParams()))
    ),
  ];
  for (const [i, list] of pieces.entries()) {
    // Each look at the clock is a millisecond.
    let nowMs = 0;
    const left = slices(list, { monotonicMs: () => nowMs++ });
    let readMost = 0;
    let bytesMost = 0;
    for (let done = false; !done;) {
      read = 0;
      const slice = left.next();
      readMost = Math.max(readMost, read);
      bytesMost = Math.max(bytesMost, slice.value.length);
      done = slice.done === true;
    }
    assert.ok(readMost > 10 && readMost < 1000, `list ${i} reads ${readMost} entries in one slice`);
    assert.ok(bytesMost < 1 << 20, `list ${i} sends ${bytesMost} bytes in one slice`);
  }
});

test("the version line satisfies those who parse it", () => {
  const srvr = answerWord("srvr", fakeSource());
  // kazoo, Datadog and Telegraf, each by its own pattern.
  assert.match(srvr, /^Zookeeper version: ([\d.]*).*/);
  assert.deepEqual(/Zookeeper version: ([^.]+)\.([^.]+)\.([^-]+)/.exec(srvr)?.slice(1), ["3", "8", "0"]);
  assert.match(
    srvr,
    /^Zookeeper version: (\d+\.\d+\.\d+)-[^,]*, built on \d\d\d\d-\d\d-\d\d \d\d:\d\d UTC\n/,
  );
});

test("stat survives Datadog's parser, which goes by the order of lines", () => {
  for (const mode of ["standalone", "leader", "follower", "observer"] satisfies ServingMode[]) {
    const lines = answerWord("stat", fakeSource({ status: { mode }, settings: { sync: "off" } })).split("\n");
    const next = () => lines.shift() ?? "";
    const value = () => next().split(":")[1]!.trim();
    next();
    next();
    let connections = 0;
    while (next().trim() !== "") connections++;
    assert.equal(connections, 2);
    assert.deepEqual(value().split("/").map(Number), [0, 2.75, 9]);
    assert.deepEqual([value(), value(), value(), value()].map(Number), [10, 9, 2, 0]);
    assert.equal(Number.parseInt(value(), 16), 5);
    assert.equal(value().toLowerCase(), mode);
    assert.equal(Number(value()), 9);
  }
});

test("doubles, dates and addresses are printed as Java prints them", () => {
  const doubles: [number, string][] = [
    [0, "0.0"],
    [-0, "0.0"],
    [4, "4.0"],
    [14.63636363, "14.6364"],
    [0.0001, "1.0E-4"],
    [0.00004, "0.0"],
    [0.0012, "0.0012"],
    [1e7, "1.0E7"],
    [12345678.5, "1.23456785E7"],
    [9999999, "9999999.0"],
    [NaN, "0.0"],
    [Infinity, "0.0"],
  ];
  for (const [value, text] of doubles) assert.equal(javaDouble(value), text);
  assert.equal(javaDate(Date.UTC(2026, 10, 2, 9, 1, 3)), "Mon Nov 02 09:01:03 UTC 2026");
  assert.equal(javaDate(NaN), "Thu Jan 01 00:00:00 UTC 1970");
  assert.equal(socketText("::1", 5), "[::1]:5");
  assert.equal(socketText("::ffff:10.0.0.7", 5), "10.0.0.7:5");
});
