/**
 * What storage relies on in the SQLite port, told alike by both runtimes.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SqliteError } from "../../src/runtime/ports.ts";
import { sqlite, withDirectory } from "../support/runtime_storage.ts";

function codeOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof SqliteError, String(error));
    return error.code;
  }
  return "none";
}

test("values come back as they went in", () => {
  const database = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  database.exec("create table t(id integer primary key, i integer, b blob, s text)");
  const insert = database.prepare("insert into t(i, b, s) values(?, ?, ?)");
  const bytes = new Uint8Array([0, 1, 254, 255]);
  assert.equal(insert.run(2 ** 53 - 1, bytes, "grüße/\u{1f600}"), 1);
  insert.run(-1, new Uint8Array(0), "");
  insert.run(null, null, null);
  insert.run(-(2n ** 63n) + 5n, bytes.subarray(1, 3), "a");
  const rows = database.prepare("select i, b, s, typeof(i), typeof(b) from t where id < 4 order by id").all();
  assert.deepEqual(rows.map((row) => row.map((value) => value instanceof Uint8Array ? [...value] : value)), [
    [2 ** 53 - 1, [0, 1, 254, 255], "grüße/\u{1f600}", "integer", "blob"],
    [-1, [], "", "integer", "blob"],
    [null, null, null, "null", "null"],
  ]);
  assert.deepEqual(database.prepare("select i >> 32, i & 4294967295, hex(b) from t where id = 4").get(), [
    -(2 ** 31),
    5,
    "01FE",
  ]);
  assert.equal(database.prepare("select 1 where 0").get(), undefined);
  assert.equal(database.prepare("update t set i = 7 where id > ?").run(1), 3);
  database.close();
});

test("a blob that came back is not changed by the next call", () => {
  const database = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  const blob = database.prepare("select cast(? as blob)");
  const first = blob.get("first")?.[0];
  blob.get("other");
  assert.ok(first instanceof Uint8Array);
  assert.equal(new TextDecoder().decode(first), "first");
  database.close();
});

test("failures carry the library's code", async () => {
  await withDirectory((directory) => {
    const path = join(directory, "a.db");
    assert.equal(codeOf(() => sqlite.open({ path, readonly: false, mustExist: true })), "SQLITE_CANTOPEN");
    assert.equal(
      codeOf(() => sqlite.open({ path: join(directory, "no", "a.db"), readonly: false, mustExist: false })),
      "SQLITE_CANTOPEN",
    );
    const one = sqlite.open({ path, readonly: false, mustExist: false });
    one.exec("create table t(id integer primary key)");
    one.prepare("insert into t values(1)").run();
    assert.equal(codeOf(() => one.prepare("insert into t values(1)").run()), "SQLITE_CONSTRAINT");
    assert.equal(codeOf(() => one.exec("nonsense")), "SQLITE_ERROR");
    assert.equal(codeOf(() => one.prepare("select * from nowhere").all()), "SQLITE_ERROR");
    one.exec("begin immediate");
    const two = sqlite.open({ path, readonly: false, mustExist: true });
    assert.equal(codeOf(() => two.exec("begin immediate")), "SQLITE_BUSY");
    const reader = sqlite.open({ path, readonly: true, mustExist: true });
    assert.equal(codeOf(() => reader.exec("insert into t values(2)")), "SQLITE_READONLY");
    reader.close();
    two.close();
    one.exec("commit");
    one.exec("pragma max_page_count = 3; create table big(b blob)");
    assert.equal(
      codeOf(() => one.prepare("insert into big values(?)").run(new Uint8Array(100_000))),
      "SQLITE_FULL",
    );
    one.close();
    const foreign = join(directory, "foreign.db");
    writeFileSync(foreign, "not a database, but long enough to be read as one ".repeat(40));
    assert.equal(
      codeOf(() => {
        const database = sqlite.open({ path: foreign, readonly: false, mustExist: true });
        try {
          database.prepare("select * from sqlite_schema").all();
        } finally {
          database.close();
        }
      }),
      "SQLITE_NOTADB",
    );
  });
});

test("close gives up the locks, statements or not", async () => {
  await withDirectory((directory) => {
    const path = join(directory, "a.db");
    const one = sqlite.open({ path, readonly: false, mustExist: false });
    one.exec(
      "pragma locking_mode = exclusive; pragma journal_mode = wal; create table t(id integer primary key)",
    );
    const insert = one.prepare("insert into t values(?)");
    insert.run(1);
    one.prepare("select * from t").all();
    const two = sqlite.open({ path, readonly: false, mustExist: true });
    assert.equal(codeOf(() => two.prepare("select * from t").all()), "SQLITE_BUSY");
    one.close();
    assert.deepEqual(two.prepare("select * from t").all(), [[1]]);
    two.close();
  });
});

test("the library is recent", () => {
  const [major, minor] = sqlite.version.split(".").map(Number);
  assert.ok(major === 3 && (minor ?? 0) >= 45, sqlite.version);
});
