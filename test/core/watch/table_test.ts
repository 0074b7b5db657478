/** The watch table against maps, and what a watch costs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { WatchMode, watchModesAll, WatchTable } from "../../../src/core/watch/table.ts";

/** Connection and path to modes. */
class Dumb {
  readonly modes = new Map<string, number>();

  key(connection: number, path: string): string {
    return `${connection} ${path}`;
  }

  fire(path: string): Set<number> {
    const hit = new Set<number>();
    for (const [key, modes] of [...this.modes]) {
      const cut = key.indexOf(" ");
      const connection = Number(key.slice(0, cut));
      const watched = key.slice(cut + 1);
      if (watched === path) {
        hit.add(connection);
        this.set(key, modes & ~WatchMode.Standard);
      } else if ((modes & WatchMode.Recursive) !== 0 && path.startsWith("/") && path !== "/") {
        if (watched === "/" || (watched !== "" && path.startsWith(`${watched}/`))) hit.add(connection);
      }
    }
    return hit;
  }

  set(key: string, modes: number): void {
    if (modes === 0) this.modes.delete(key);
    else this.modes.set(key, modes);
  }
}

const paths = [
  "",
  "/",
  "/a",
  "/a/",
  "/a/b",
  "/a/b/c",
  "/ab",
  "/b",
  "a",
  "//",
  "/a//b",
  "/zz/y/x/w/v",
  "/zz/y",
];
const step = fc.record({
  what: fc.constantFrom("add", "add", "add", "fire", "fire", "remove", "gone", "modes"),
  connection: fc.nat(4),
  path: fc.constantFrom(...paths),
  mode: fc.integer({ min: 1, max: watchModesAll }),
});

test("500,000 watches on paths of their own cost at most 115 bytes each", () => {
  const count = 500_000;
  const encoder = new TextEncoder();
  const bytes = new Uint8Array(64);
  const before = process.memoryUsage();
  const table = new WatchTable();
  for (let i = 0; i < count; i++) {
    const { written } = encoder.encodeInto(`/watch/path/number-${i}`, bytes);
    table.add(1, bytes, 0, written, WatchMode.Standard);
  }
  const after = process.memoryUsage();
  assert.equal(table.size, count);
  // Typed arrays are all that grows with watches, and both runtimes tell of them here: 92 bytes on Bun, 97 on Deno.
  const each = (after.external - before.external) / count;
  assert.ok(each > 40 && each <= 115, `${each} bytes`);
});

test("lists are right while the table changes under them", () => {
  const table = new WatchTable();
  const add = (connection: number, path: string) => {
    const bytes = bytesOf(path);
    table.add(connection, bytes, 0, bytes.length, WatchMode.Standard);
  };
  const fire = (path: string) => table.fire(bytesOf(path), 0, path.length);
  for (let i = 0; i < 100; i++) {
    add(1, `/${i}`);
    add(2, `/${i}`);
  }
  // The newest is told first: what goes behind it, before it and right after it is not missed and not told.
  const seen: string[] = [];
  for (const path of table.pathsOf(1)) {
    seen.push(path);
    const next = Number(path.slice(1)) - 1;
    if (next % 3 === 0) fire(`/${next}`);
    fire(path);
    add(2, `/new${next}`);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, i) => 99 - i).filter((i) => i === 99 || i % 3 !== 0).map((i) => `/${i}`),
  );
  // Abandoned in the middle, and ended by the end of the connection.
  add(3, "/x");
  add(3, "/y");
  for (const path of table.pathsOf(3)) {
    assert.equal(path, "/y");
    table.removeConnection(3);
  }
  const before = [...table.paths()].map(({ path }) => path);
  const byPath: string[] = [];
  for (const { path } of table.paths()) {
    byPath.push(path);
    if (byPath.length < 200) add(4, `/later${byPath.length}`);
    fire(path);
  }
  assert.deepEqual(byPath.slice(0, before.length), before);
  assert.equal(new Set(byPath).size, byPath.length);
});

test("a table hears what maps hear", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const table = new WatchTable();
      const dumb = new Dumb();
      for (const { what, connection, path, mode } of steps) {
        const bytes = bytesOf(`xx${path}y`);
        const [start, end] = [2, bytes.length - 1];
        const key = dumb.key(connection, path);
        const had = dumb.modes.get(key) ?? 0;
        if (what === "add") {
          // As they are asked for, one mode at a time.
          const one = mode & -mode;
          table.add(connection, bytes, start, end, one);
          dumb.set(key, had | one);
        } else if (what === "remove") {
          assert.equal(table.remove(connection, bytes, start, end, mode), (had & mode) !== 0);
          dumb.set(key, had & ~mode);
        } else if (what === "modes") assert.equal(table.modes(connection, bytes, start, end), had);
        else if (what === "gone") {
          table.removeConnection(connection);
          for (const one of [...dumb.modes.keys()]) {
            if (one.startsWith(`${connection} `)) dumb.modes.delete(one);
          }
          assert.equal(table.hasConnection(connection), false);
        } else {
          table.fire(bytes, start, end);
          assert.deepEqual(new Set(table.hits.subarray(0, table.hitCount)), dumb.fire(path));
        }
        assert.equal(table.size, dumb.modes.size);
        const watched = [...dumb.modes.keys()].map((one) => one.slice(one.indexOf(" ") + 1));
        assert.equal(table.pathCount, new Set(watched).size);
      }
      const shown = [...table.paths()].flatMap(({ path, connections }) =>
        connections.map((connection) => dumb.key(connection, path))
      );
      assert.deepEqual(shown.sort(), [...dumb.modes.keys()].sort());
      for (let connection = 0; connection < 5; connection++) {
        const mine = [...dumb.modes.keys()].filter((one) => one.startsWith(`${connection} `));
        const told = [...table.pathsOf(connection)].map((path) => dumb.key(connection, path));
        assert.deepEqual(told.sort(), mine.sort());
      }
    }),
    { numRuns: 300 },
  );
});

test("a hundred thousand watches come, fire and go, and leave nothing", () => {
  const table = new WatchTable();
  const count = 100_000;
  const path = (i: number) => bytesOf(`/app/${i % 7}/node-${i}`);
  for (let i = 0; i < count; i++) table.add(1 + (i % 50), path(i), 0, path(i).length, WatchMode.Standard);
  assert.equal(table.size, count);
  for (let i = 0; i < count / 2; i++) {
    table.fire(path(i), 0, path(i).length);
    assert.equal(table.hitCount, 1);
    assert.equal(table.hits[0], 1 + (i % 50));
  }
  for (let connection = 1; connection <= 50; connection++) table.removeConnection(connection);
  assert.equal(table.size, 0);
  assert.equal(table.pathCount, 0);
});
