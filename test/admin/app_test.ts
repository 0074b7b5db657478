/** The admin endpoint, asked as a browser, a script, a probe and an attacker would ask it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { makeAdminApp, makeMetricsApp } from "../../src/admin/app.ts";
import { commands } from "../../src/admin/commands.ts";
import type { ConnectionStatus } from "../../src/core/peer/status.ts";
import { linesMax } from "../../src/server/words_text.ts";
import { connectionFake, type FakeChanges, fakeSource, latencyOf, sessionId } from "./fake_source.ts";

function endpoint(changes: FakeChanges = {}) {
  const logged: string[] = [];
  const source = {
    ...fakeSource(changes),
    logger: { error: (event: string, message: string) => void logged.push(`${event} ${message}`) },
  };
  const app = makeAdminApp(source);
  const ask = async (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) => {
    const response = await app.fetch(new Request(`http://127.0.0.1:8080${path}`, init));
    return { response, status: response.status, text: await response.text() };
  };
  return { source, app, ask, logged };
}

const command = async (name: string, changes: FakeChanges = {}) =>
  (await endpoint(changes).ask(`/commands/${name}`)).text;

// ------------------------------------------------------------------------------------- commands

test("commands answer in the very text that the original's JSON printer makes", async () => {
  assert.equal(
    await command("configuration"),
    `{
  "client_port" : 23181,
  "data_dir" : "/var/lib/zookeeper",
  "data_log_dir" : "/var/lib/zookeeper",
  "tick_time" : 2000,
  "max_client_cnxns" : 60,
  "min_session_timeout" : 4000,
  "max_session_timeout" : 40000,
  "server_id" : 0,
  "client_port_listen_backlog" : -1,
  "command" : "configuration",
  "error" : null
}`,
  );
  assert.equal(
    await command("connections"),
    `{
  "connections" : [ {
    "remote_socket_address" : "127.0.0.1:45730",
    "interest_ops" : 1,
    "outstanding_requests" : 0,
    "packets_received" : 8,
    "packets_sent" : 8,
    "session_id" : 72057687824728064,
    "last_operation" : "CREA",
    "established" : 1795176574561,
    "session_timeout" : 30000,
    "last_cxid" : 7,
    "last_zxid" : 5,
    "last_response_time" : 1468951,
    "last_latency" : 0,
    "min_latency" : 0,
    "avg_latency" : 2,
    "max_latency" : 9
  }, {
    "remote_socket_address" : "127.0.0.1:45766",
    "interest_ops" : 0,
    "outstanding_requests" : 0,
    "packets_received" : 1,
    "packets_sent" : 0
  } ],
  "secure_connections" : [ ],
  "command" : "connections",
  "error" : null
}`,
  );
  assert.equal(
    await command("watches_by_path"),
    `{
  "path_to_session_ids" : {
    "/app" : [ 72057687824728064 ],
    "/nope" : [ 72057687824728064 ]
  },
  "command" : "watches_by_path",
  "error" : null
}`,
  );
  assert.equal(
    await command("voting_view"),
    `{\n  "current_config" : { },\n  "command" : "voting_view",\n  "error" : null\n}`,
  );
  assert.equal(
    await command("leader"),
    `{\n  "error" : "server is not initialized",\n  "command" : "leader"\n}`,
  );
  assert.equal(
    await command("nosuch"),
    `{\n  "command" : "nosuch",\n  "error" : "Unknown command: nosuch"\n}`,
  );
  assert.equal(
    await command("ruok/x"),
    `{\n  "command" : "ruok/x",\n  "error" : "Unknown command: ruok/x"\n}`,
  );
});

test("every command and alias answers 200 with valid JSON that ends in its name and error", async () => {
  const { ask } = endpoint();
  for (const { name, aliases } of commands) {
    for (const alias of [name, ...aliases]) {
      const { status, text, response } = await ask(`/commands/${alias}`);
      assert.equal(status, 200, alias);
      assert.equal(response.headers.get("content-type"), "application/json");
      const told = JSON.parse(text);
      assert.equal(told.command, name);
      assert.ok("error" in told);
    }
  }
});

test("session ids keep all their digits and are signed, as Java prints them", async () => {
  const id = 0x7000_0000_0000_0001n as typeof sessionId;
  const negative = 0xffff_ffff_ffff_fffen as typeof sessionId;
  const text = await command("watches", {
    peer: { watchesBySession: () => new Map([[id, ["/a"]], [negative, ["/b"]]]) },
  });
  assert.match(text, /"8070450532247928833" : \[ "\/a" \]/);
  assert.match(text, /"-2" : \[ "\/b" \]/);
});

test("text of clients cannot break out of a JSON string", async () => {
  const path = '/a"b\\c\n\u0001é';
  const byPath = new Map([[path, [sessionId]], ["__proto__", []]]);
  const text = await command("wchp", { peer: { watchesByPath: () => byPath } });
  assert.ok(text.includes('"/a\\"b\\\\c\\n\\u0001é" : [ 72057687824728064 ]'), text);
  assert.ok(text.includes('"__proto__" : [ ]'), text);
  assert.deepEqual(Object.keys(JSON.parse(text).path_to_session_ids)[0], path);
});

test("monitor tells what mntr tells, typed and without the prefix", async () => {
  const text = await command("monitor");
  const told = JSON.parse(text);
  assert.equal(told.server_state, "standalone");
  assert.equal(told.znode_count, 9);
  assert.match(text, /\n {2}"avg_latency" : 2\.75,\n/);
  assert.match(text, /\n {2}"connection_drop_probability" : 0\.0,\n/);
  assert.equal(told.q_quota_count_limit_per_namespace, 5);
  assert.ok(Object.keys(told).length > 450);
});

test("server_stats has every field of the original", async () => {
  const told = JSON.parse(await command("srvr"));
  assert.deepEqual(Object.keys(told), [
    "version",
    "read_only",
    "server_stats",
    "client_response",
    "node_count",
    "command",
    "error",
  ]);
  assert.equal(told.server_stats.last_processed_zxid, 5);
  assert.deepEqual(told.server_stats.client_response_stats, {
    last_buffer_size: 22,
    min_buffer_size: 16,
    max_buffer_size: 98,
  });
  assert.equal(told.server_stats.non_mtlsremote_conn_count, 0);
  const stats = JSON.parse(await command("stat"));
  assert.deepEqual(Object.keys(stats.connections[0]), [
    "remote_socket_address",
    "interest_ops",
    "outstanding_requests",
    "packets_received",
    "packets_sent",
  ]);
});

test("dump, hash and last_snapshot tell ids, digests and seconds", async () => {
  const dump = await command("dump");
  assert.match(dump, /"expiry_time_to_session_ids" : \{\n {4}"1795176604000" : \[ 72057687824728064 \]\n/);
  assert.match(dump, /"72057687824728064" : \[ "\/eph" \]/);
  assert.match(
    await command("hash"),
    /\{\n {4}"zxid" : 128,\n {4}"digest" : 9387463759,\n {4}"digest_version" : 2\n {2}\}, \{/,
  );
  assert.match(await command("lsnp"), /"zxid" : "3",\n {2}"timestamp" : 1795176536,/);
  assert.match(
    await command("lsnp", { storage: { checkpointAtMs: 0 } }),
    /"zxid" : "ffffffffffffffff",\n {2}"timestamp" : -1,/,
  );
});

test("while it does not serve, only commands that need no server answer", async () => {
  const off: FakeChanges = { status: { serving: false, mode: "not-serving" } };
  const sentence = "This ZooKeeper instance is not currently serving requests";
  for (const name of ["cons", "ruok", "monitor", "stat_reset"]) {
    assert.deepEqual(JSON.parse(await command(name, off)), { command: name, error: sentence });
  }
  for (const name of ["environment", "gtmk", "system_properties", "zabstate"]) {
    assert.equal(JSON.parse(await command(name, off)).error, null, name);
  }
});

test("resets reach the peer, and not at the wish of another site's page", async () => {
  const { ask, source } = endpoint();
  const foreign = await ask("/commands/srst", { headers: { "Sec-Fetch-Site": "cross-site" } });
  assert.equal(foreign.status, 403);
  assert.deepEqual(source.resets, []);
  await ask("/commands/srst");
  await ask("/commands/connection_stat_reset");
  assert.deepEqual(source.resets, ["stats", "connections"]);
  assert.equal((await ask("/commands/ruok", { headers: { "Sec-Fetch-Site": "cross-site" } })).status, 200);
});

test("the trace mask takes 64 bits and nothing else", async () => {
  const { ask, source } = endpoint();
  assert.match(
    (await ask("/commands/stmk")).text,
    /"error" : "setTraceMask requires long traceMask argument",/,
  );
  for (const bad of ["abc", "1.5", "9223372036854775808", "", "99999999999999999999999999"]) {
    const { text } = await ask(`/commands/stmk?traceMask=${bad}`);
    assert.ok(text.includes(`setTraceMask requires long traceMask argument, got ${bad}`), bad);
  }
  assert.equal(source.traceMask.value, 306n);
  assert.match(
    (await ask("/commands/stmk?traceMask=-9223372036854775808&traceMask=1")).text,
    /"tracemask" : -9223372036854775808,/,
  );
  assert.equal(source.traceMask.value, -9223372036854775808n);
});

test("a list that would be endless is cut and says so", async () => {
  const many = new Map(Array.from({ length: linesMax + 5 }, (_, i) => [`/p${i}`, [sessionId]]));
  const told = JSON.parse(await command("wchp", { peer: { watchesByPath: () => many } }));
  assert.ok(Object.keys(told.path_to_session_ids).length <= linesMax + 1);
  assert.equal(told.cut_after, linesMax);
});

test("no secret leaves, be it a setting, in the file or commented out", async () => {
  const sourceText = [
    "clientPort=2181",
    "DigestAuthenticationProvider.superDigest=super:SECRET1=",
    "#superDigest: super:SECRET2",
    "ssl.keyStore.password SECRET3",
    "ssl.trustStore.password = SECRET4\\",
    "  SECRET5",
    'keystore_password = """SECRET6',
    'SECRET7"""',
    'tls = { key = "a", password = "SECRET8" }',
    "ssl.quorum.keyStore.password=\\",
    "  SECRET9",
    "dataDir=/srv/zk",
  ].join("\n");
  const changes: FakeChanges = { settings: { sourceText, superDigest: "super:SECRET0=" } };
  for (const name of ["icfg", "sysp", "conf", "envi"]) {
    assert.doesNotMatch(await command(name, changes), /SECRET/, name);
  }
  const shown = JSON.parse(await command("icfg", changes)).initial_configuration as string;
  assert.match(shown, /^clientPort=2181\n/);
  assert.match(shown, /superDigest=<redacted>\n/);
  assert.match(shown, /\ndataDir=\/srv\/zk$/);
  const properties = JSON.parse(await command("sysp", changes));
  assert.equal(properties["zookeeper.DigestAuthenticationProvider.superDigest"], "<redacted>");
  assert.equal(
    JSON.parse(await command("icfg", { settings: { sourceText: null } })).initial_configuration,
    null,
  );
});

test("the index of commands is the original's list of links", async () => {
  const { ask } = endpoint();
  for (const path of ["/commands", "/commands/"]) {
    const { status, text } = await ask(path);
    assert.equal(status, 200);
    assert.ok(
      text.startsWith('<a href="/commands/configuration">configuration</a>\n<br/>\n'),
      text.slice(0, 80),
    );
    assert.equal(text.match(/<br\/>/g)?.length, commands.length);
  }
});

test("commands stand where the settings put them", async () => {
  for (const commandUrl of ["/zk/admin", "/zk/admin/", "/"]) {
    const { ask } = endpoint({
      settings: { admin: { enabled: true, address: "127.0.0.1", port: 0, commandUrl } },
    });
    const path = `${commandUrl.replace(/\/$/, "")}/ruok`;
    assert.equal(JSON.parse((await ask(path)).text).command, "ruok", path);
    assert.match((await ask("/")).text, /<!DOCTYPE html>/);
    assert.equal((await ask("/health")).status, 200);
  }
});

// --------------------------------------------------------------------------- health and metrics

test("health is 200 while serving and 503 otherwise", async () => {
  const fine = await endpoint().ask("/health");
  assert.equal(fine.status, 200);
  assert.deepEqual([JSON.parse(fine.text).status, JSON.parse(fine.text).zxid], ["ok", "0x5"]);
  const bad = await endpoint({ status: { serving: false, mode: "not-serving" } }).ask("/health");
  assert.equal(bad.status, 503);
  assert.equal(JSON.parse(bad.text).status, "not-serving");
  const wrong = await endpoint({ status: { wrong: "The tree is not what the txn left" } }).ask("/health");
  assert.equal(wrong.status, 503);
  assert.deepEqual(
    [JSON.parse(wrong.text).status, JSON.parse(wrong.text).reason],
    ["wrong-tree", "The tree is not what the txn left"],
  );
});

const sampleLine =
  /^[a-zA-Z_:][\w:]*(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(,[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[\d.]+(e[+-]?\d+)?|\+Inf)$/;

test("metrics are valid Prometheus text under the original's names, whatever clients name their znodes", async () => {
  const { ask } = endpoint({
    peer: { quotas: () => [{ path: '/a"b\\c\nd', countLimit: 5, bytesLimit: -1, count: 1, bytes: 6 }] },
    status: { requestsByOp: new Map([["create", 4]]), uptimeMs: NaN },
  });
  const { response, text } = await ask("/metrics");
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const names = new Set<string>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue;
    const type = /^# TYPE (\w+) (gauge|counter|summary|histogram)$/.exec(line);
    if (type !== null) {
      assert.ok(!names.has(type[1]!), `${type[1]} twice`);
      names.add(type[1]!);
    } else assert.match(line, sampleLine);
  }
  // Those that the published alert rules and dashboards ask for.
  for (
    const name
      of "znode_count num_alive_connections approximate_data_size watch_count election_time open_file_descriptor_count fsynctime snapshottime avg_latency process_cpu_seconds_total process_start_time_seconds process_open_fds process_max_fds process_resident_memory_bytes quota_bytes_usage_per_namespace looking_count readlatency"
        .split(" ")
  ) assert.ok(names.has(name), name);
  assert.match(text, /\nfsynctime_sum 1\nfsynctime_count 5\n/);
  assert.match(text, /\nreadlatency\{quantile="0\.99"\} 0\.25\n/);
  assert.equal(/\nzk_.*|quantile="[^"]*"\} 0\n/.exec(text)?.[0], undefined);
});

test("latency by stage is a histogram in seconds that Prometheus can sum", async () => {
  const { ask } = endpoint({
    status: {
      stages: {
        read: latencyOf(1, 1.5, 700_000).summary(),
        write: latencyOf().summary(),
        append: latencyOf(2).summary(),
      },
    },
  });
  const { text } = await ask("/metrics");
  const at = (le: string) =>
    new RegExp(`request_latency_seconds_bucket\\{stage="read",le="${le}"\\} (\\d+)`).exec(text)?.[1];
  assert.deepEqual([at("0\\.0005"), at("0\\.001"), at("0\\.002"), at("16\\.384"), at("\\+Inf")], [
    "0",
    "1",
    "2",
    "2",
    "3",
  ]);
  assert.match(text, /request_latency_seconds_sum\{stage="append"\} 0\.002\n/);
  assert.match(text, /request_latency_seconds_count\{stage="write"\} 0\n/);
});

test("the metrics port has metrics alone", async () => {
  const app = makeMetricsApp({
    ...fakeSource({ settings: { metrics: { address: "0.0.0.0", port: 7000 } } }),
    logger: { error: () => undefined },
  });
  const ask = async (path: string) => (await app.fetch(new Request(`http://zk-0:7000${path}`))).status;
  assert.deepEqual([await ask("/metrics"), await ask("/"), await ask("/commands/ruok")], [200, 404, 404]);
});

// ----------------------------------------------------------------------------------- the page

test("the page allows exactly its own style and script and loads nothing else", async () => {
  const { response, text } = await endpoint().ask("/");
  const policy = response.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; /);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const hash = (part: string) => `'sha256-${createHash("sha256").update(part).digest("base64")}'`;
  assert.ok(policy.includes(`style-src ${hash(/<style>([^]*?)<\/style>/.exec(text)![1]!)};`));
  assert.ok(policy.includes(`script-src ${hash(/<script>([^]*?)<\/script>/.exec(text)![1]!)};`));
  assert.doesNotMatch(text, /(src|href)="(https?:)?\/\//);
  assert.doesNotMatch(text, /\sstyle="|\son\w+="/);
});

test("nothing that a client says becomes markup", async () => {
  const evil = "</script><img src=x onerror=alert(1)>";
  const session = { ...connectionFake.session!, operationLast: evil };
  const connection: ConnectionStatus = { ...connectionFake, remoteAddress: evil, session };
  const { ask } = endpoint({ peer: { connections: () => [connection] }, settings: { dataDir: evil } });
  const { text } = await ask("/");
  assert.doesNotMatch(text, /<img/);
  const data = /<script type="application\/json" id="first">([^]*?)<\/script>/.exec(text)![1]!;
  assert.equal(JSON.parse(data).clients[0].operationLast, evil);
  assert.equal(JSON.parse((await ask("/status.json")).text).storage.dataDir, evil);
});

test("a great many connections are counted and not listed", async () => {
  const { ask } = endpoint({
    status: { connections: 10_000 },
    peer: { connections: () => assert.fail("the list was made") },
  });
  const told = JSON.parse((await ask("/status.json")).text);
  assert.deepEqual([told.connections, told.clients], [10_000, null]);
});

// -------------------------------------------------------------------------------------- the door

test("only GET and HEAD are answered", async () => {
  const { ask, app } = endpoint();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const { status, response } = await ask("/commands/ruok", { method });
    assert.equal(status, 405, method);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
  const head = await ask("/commands/ruok", { method: "HEAD" });
  assert.deepEqual([head.status, head.text, head.response.headers.get("content-length")], [200, "", "42"]);
  // No Request can be made with TRACE, but a server may hand one up.
  const trace = new Proxy(new Request("http://127.0.0.1/"), {
    get: (target, key) => key === "method" ? "TRACE" : Reflect.get(target, key, target),
  });
  assert.equal((await app.fetch(trace)).status, 403);
});

test("on loopback, a foreign Host is refused: that is DNS rebinding", async () => {
  const { app } = endpoint();
  const asked = async (url: string) => (await app.fetch(new Request(url))).status;
  for (
    const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.1",
      "[fe80::1]",
    ]
  ) {
    for (const path of ["/", "/commands/cons", "/metrics", "/health", "/nowhere"]) {
      assert.equal(await asked(`http://${host}:8080${path}`), 403, host + path);
    }
  }
  for (const host of ["localhost", "127.0.0.1", "127.0.1.1", "[::1]", "zk.localhost", "LOCALHOST"]) {
    assert.equal(await asked(`http://${host}:8080/health`), 200, host);
  }
});

test("the Host header counts, not the address that a proxying server put into the URL", async () => {
  const { app } = endpoint();
  const request = (host: string) =>
    new Proxy(new Request("http://127.0.0.1:8080/health"), {
      get: (target, key) => key === "headers" ? new Map([["host", host]]) : Reflect.get(target, key, target),
    });
  assert.equal((await app.fetch(request("evil.example"))).status, 403);
  assert.equal((await app.fetch(request(""))).status, 403);
  assert.equal((await app.fetch(request("localhost:8080"))).status, 200);
  assert.equal((await app.fetch(request("[::1]"))).status, 200);
});

test("bound to an address that others reach, any Host will do", async () => {
  const { app } = endpoint({
    settings: { admin: { enabled: true, address: "0.0.0.0", port: 8080, commandUrl: "/commands" } },
  });
  assert.equal((await app.fetch(new Request("http://zk-0.zk.svc:8080/health"))).status, 200);
});

test("a path that is not there is 404, and a failure inside is 500, logged and survived", async () => {
  const { ask, logged } = endpoint({
    peer: {
      connections: () => {
        throw new Error("no list today");
      },
    },
  });
  assert.equal((await ask("/nowhere")).status, 404);
  assert.equal((await ask("/commands/cons")).status, 500);
  assert.deepEqual(logged, ["admin_failed Cannot answer GET /commands/cons: no list today"]);
  assert.equal((await ask("/commands/ruok")).status, 200);
});
