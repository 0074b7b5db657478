/** A peer that starts from rows, from a log, or from both is the peer that wrote them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionError } from "../../../src/core/base/assert.ts";
import type { Zxid } from "../../../src/core/base/zxid.ts";
import type { Peer } from "../../../src/core/peer/peer.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { type Acl, aclOpen, aclRead } from "../../../src/core/wire/records.ts";
import {
  writeCreateRequest,
  writeCreateTtlRequest,
  writeDeleteRequest,
  writeSetAclRequest,
  writeSetDataRequest,
} from "../../../src/core/wire/requests.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { Random } from "../../support/random.ts";
import { Driver, rowsOf } from "./driver.ts";

function same(a: Peer, b: Peer): void {
  assert.equal(a.tree.digest.value, b.tree.digest.value);
  assert.deepEqual([
    a.tree.liveCount,
    a.tree.dataBytes,
    a.tree.ephemeralCount,
    a.tree.containers.size,
    a.tree.ttls.size,
  ], [
    b.tree.liveCount,
    b.tree.dataBytes,
    b.tree.ephemeralCount,
    b.tree.containers.size,
    b.tree.ttls.size,
  ]);
  assert.equal(a.tree.acls.size, b.tree.acls.size);
  assert.deepEqual(
    [...a.sessions.all()].map(({ id, timeoutMs }) => [id, timeoutMs]),
    [...b.sessions.all()].map(({ id, timeoutMs }) => [id, timeoutMs]),
  );
  assert.deepEqual([a.zxid, a.applier.digestMismatches], [b.zxid, 0]);
}

/** A life of a few hundred changes; returns what stood in the rows at some moment of it. */
function live(
  seed: number,
): {
  driver: Driver;
  snapshots: {
    zxid: Zxid;
    rows: Uint8Array;
    batches: number;
    sessions: { hi: number; lo: number; timeoutMs: number }[];
  }[];
} {
  const random = new Random(seed);
  const driver = new Driver();
  let lines = [driver.connect(), driver.connect(20_000)];
  const acls: (readonly Acl[])[] = [aclOpen, aclOpen, aclRead, [...aclRead, {
    perms: 30,
    id: { scheme: "ip", id: "10.0.0.1" },
  }]];
  const paths = ["/a", "/a/b", "/a/b/c", "/d", "/d/e", "/zookeeper/x"];
  const snapshots: ReturnType<typeof live>["snapshots"] = [];
  for (let i = 0; i < 300; i++) {
    const line = random.pick(lines);
    const path = random.pick(paths);
    const data = random.percent(20) ? null : random.bytes(random.below(50));
    random.weighted<() => void>([
      [
        8,
        () =>
          line.send(
            OpCode.Create,
            (w) => writeCreateRequest(w, path, data, random.pick(acls), random.below(4)),
          ),
      ],
      [1, () => line.send(OpCode.CreateContainer, (w) => writeCreateRequest(w, path, data, aclOpen, 4))],
      [1, () => line.send(OpCode.CreateTtl, (w) => writeCreateTtlRequest(w, path, data, aclOpen, 5, 5000))],
      [4, () => line.send(OpCode.Delete, (w) => writeDeleteRequest(w, path, -1))],
      [6, () => line.send(OpCode.SetData, (w) => writeSetDataRequest(w, path, data, -1))],
      [2, () => line.send(OpCode.SetAcl, (w) => writeSetAclRequest(w, path, random.pick(acls), -1))],
      [1, () => {
        line.send(OpCode.CloseSession);
        driver.settle();
        lines = [...lines.filter((one) => one !== line), driver.connect()];
      }],
      [3, () => driver.settle()],
    ])();
    driver.wallMs += random.below(20);
    if (i % 60 === 59) {
      driver.settle();
      snapshots.push({
        zxid: driver.peer.zxid,
        rows: rowsOf(driver.peer),
        batches: driver.log.length,
        sessions: [...driver.peer.sessions.all()].map(({ hi, lo, timeoutMs }) => ({ hi, lo, timeoutMs })),
      });
    }
  }
  driver.settle();
  return { driver, snapshots };
}

test("a log, rows, or rows and the log behind them make the same peer", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { driver, snapshots } = live(seed);
    same(Driver.from(driver.log, driver.peer.zxid).peer, driver.peer);
    same(Driver.from(driver.log, driver.peer.zxid, { hashSeed: 0xdead_beef }).peer, driver.peer);
    for (const { zxid, rows, batches, sessions } of snapshots) {
      // Also with batches again that the rows hold already.
      for (const from of [batches, Math.max(0, batches - 7), 0]) {
        const again = new Driver({}, (loader) => {
          loader.rows(rows);
          for (const { hi, lo, timeoutMs } of sessions) loader.session(hi, lo, timeoutMs);
          loader.treeComplete(zxid);
          for (const batch of driver.log.slice(from)) loader.batch(batch);
          return driver.peer.zxid;
        });
        same(again.peer, driver.peer);
        assert.equal(again.peer.inFlight, 0);
      }
    }
  }
});

test("a log with a changed byte in a znode is told, and does not keep the peer from starting", () => {
  const driver = new Driver();
  const line = driver.connect();
  const data = new TextEncoder().encode("a text that can be found");
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/a", data, aclOpen, 0));
  const log = driver.log.map((batch) => batch.slice());
  for (const batch of log) {
    const at = Buffer.from(batch.buffer).indexOf(data);
    if (at >= 0) batch[at] = 0x62;
  }
  const again = Driver.from(log, driver.peer.zxid);
  assert.equal(again.peer.applier.digestMismatches, 1);
  again.tick();
  assert.ok(again.notes.some(({ event }) => event === "digest_mismatch"));
});

test("half a row and a row without its parent end the start", () => {
  const driver = new Driver();
  const rows = rowsOf(driver.peer);
  const load = (bytes: Uint8Array) =>
    new Driver({}, (loader) => {
      loader.rows(bytes);
      return 0 as Zxid;
    });
  load(rows);
  assert.throws(() => load(rows.subarray(0, rows.length - 1)), AssertionError);
  const root = 4 + 1 + 4 + 32 + 12 + 8 + 8 + 4;
  const orphan = new Writer(128);
  orphan.string("/no/parent");
  orphan.raw(rows.subarray(5, root));
  assert.throws(() => load(Buffer.concat([rows, orphan.copy()])), AssertionError);
});

test("without digests nothing is compared", () => {
  const driver = new Driver({ digestEnabled: false });
  const line = driver.connect();
  line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/a", null, aclOpen, 0));
  assert.equal(driver.peer.tree.digest.value, 0n);
  // Turned on later, the log of before carries none.
  const again = Driver.from(driver.log, driver.peer.zxid);
  assert.equal(again.peer.applier.digestMismatches, 0);
  assert.notEqual(again.peer.tree.digest.value, 0n);
});
