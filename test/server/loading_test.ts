/**
 * While the data is being loaded: the ports are open, words and the admin endpoint tell that nothing is
 * served yet, and clients wait for a moment or are turned away.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { makeAdminApp } from "../../src/admin/app.ts";
import { connectHeldMsMax } from "../../src/core/base/limits.ts";
import { readConnectReply } from "../../src/core/wire/replies.ts";
import { writeConnectRequest } from "../../src/core/wire/requests.ts";
import { Reader } from "../../src/core/wire/reader.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { devPreset, settingsFrom } from "../../src/server/config.ts";
import { makeLogger } from "../../src/server/logger.ts";
import { makeServer } from "../../src/server/server.ts";
import { openMemoryStorage } from "../../src/storage/memory_storage.ts";
import { makeTempDirectory, sleep } from "../support/places.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { startZoolet } from "../support/zoolet.ts";

/** A server whose disk is read to its end when `loaded` is called. */
async function loadingServer() {
  const runtime = await currentRuntime();
  const found = settingsFrom(runtime.files, devPreset, { flags: { clientPort: "0" } });
  assert.ok("settings" in found);
  const storage = openMemoryStorage();
  let loaded = (): void => {};
  const untilLoaded = new Promise<void>((resolve) => loaded = resolve);
  const { recover } = storage;
  storage.recover = async (sink) => {
    await untilLoaded;
    return recover.call(storage, sink);
  };
  const logger = makeLogger({
    clock: runtime.clock,
    output: { write: () => {}, takeLost: () => null },
    format: "text",
    level: "error",
  });
  const { settings } = found;
  const onFatal = (message: string) => assert.fail(message);
  const made = makeServer({ runtime, settings, storage, logger, onFatal });
  const admin = makeAdminApp({ ...made.words, logger });
  const health = async (which: string) => {
    const response = await admin.fetch(new Request(`http://127.0.0.1${which}`));
    return { status: response.status, told: await response.json() };
  };
  const started = made.start();
  while (made.words.ports?.client === 0) await sleep(5);
  return { port: made.words.ports?.client ?? 0, health, loaded, started };
}

function ask(port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(word));
    socket.on("data", (bytes) => answer += bytes.toString());
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

async function client(port: number, behind = new Uint8Array(0)): Promise<WireConnection> {
  const connection = await WireConnection.open(port);
  const w = new Writer(64);
  const at = w.room(4);
  writeConnectRequest(w, {
    protocolVersion: 0,
    zxidSeen: 0,
    timeoutMs: 10_000,
    sessionId: 0n,
    password: null,
    readOnly: false,
  });
  w.i32At(at, w.length - at - 4);
  w.raw(behind);
  connection.write(w.copy());
  return connection;
}

const notServing = "This ZooKeeper instance is not currently serving requests\n";

test("a server that loads its data says so, and serves the clients that waited", async () => {
  const { port, health, loaded, started } = await loadingServer();
  const late = await client(port);
  const greedy = await client(port, new Uint8Array(64 << 10));
  assert.equal(await greedy.take(connectHeldMsMax - 100), null, "it waits with too much");
  assert.deepEqual(
    [await ask(port, "srvr"), await ask(port, "mntr"), await ask(port, "ruok"), await ask(port, "isro")],
    [notServing, notServing, "imok", "null"],
  );
  assert.equal((await health("/health/live")).status, 200);
  const ready = await health("/health/ready");
  assert.equal(ready.status, 503);
  assert.deepEqual(ready.told.loading, { znodes: 0, txns: 0 });
  assert.equal((await health("/health")).status, 503);
  assert.equal(await late.take(), null, "turned away in the end");

  const waiting = await client(port);
  loaded();
  const server = await started;
  const frame = await waiting.take();
  assert.ok(frame !== null);
  assert.notEqual(readConnectReply(new Reader(frame))?.sessionId ?? 0n, 0n);
  assert.match(await ask(port, "srvr"), /Mode: standalone/);
  const well = await health("/health/ready");
  assert.deepEqual([well.status, well.told.loading], [200, undefined]);
  waiting.destroy();
  await server.stop();
});

test("the admin endpoint opens before the data is loaded", { timeout: 30_000 }, async () => {
  const place = makeTempDirectory("loading");
  try {
    const settings = { "admin.enableServer": true, "admin.serverPort": 0 };
    const server = await startZoolet({ directory: place.path, settings });
    const told = server.child.stderr;
    await server.stop();
    const [opened, loaded] = [told.indexOf("Started AdminServer"), told.indexOf("Database is loaded")];
    assert.ok(opened >= 0 && opened < loaded, told);
  } finally {
    place.remove();
  }
});
