/**
 * The client's small parts, each against a dumb one or against a table.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameSplitter } from "../../src/client/frame_splitter.ts";
import { setWatchesBytesMax } from "../../src/client/limits.ts";
import { pathProblem } from "../../src/client/paths.ts";
import { Queue } from "../../src/client/queue.ts";
import { parseConnectString, pathOfCaller, pathOnServer, serverText } from "../../src/client/servers.ts";
import { Watches } from "../../src/client/watches.ts";
import { hexOf } from "../../src/core/base/bytes.ts";
import { EventType, WatcherType } from "../../src/core/wire/opcodes.ts";
import { Writer } from "../../src/core/wire/writer.ts";

describe("the frame splitter", () => {
  it("gives the same frames however the stream is cut", () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (payloads, cuts) => {
        const writer = new Writer();
        for (const payload of payloads) writer.buffer(payload);
        const stream = writer.copy();
        const splitter = new FrameSplitter(300);
        const seen: string[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const count = cuts[i % cuts.length] as number;
          splitter.push(stream.slice(at, at + count), (payload) => seen.push(hexOf(payload)) > 0);
          at += count;
        }
        assert.deepEqual(seen, payloads.map((payload) => hexOf(payload)));
        assert.equal(splitter.partialBytes, 0);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a length over the limit or below zero before the frame is there", () => {
    const take = (): boolean => true;
    assert.equal(new FrameSplitter(10).push(new Uint8Array([0, 0, 0, 11]), take), 11);
    assert.equal(new FrameSplitter(10).push(new Uint8Array([255, 255, 255, 255]), take), -1);
    assert.equal(new FrameSplitter(10).push(new Uint8Array([0, 0, 0, 10]), take), null);
  });
});

describe("a connect string", () => {
  it("names hosts, ports and a chroot", () => {
    assert.deepEqual(parseConnectString("a:1,b,[::1]:3/c/d"), {
      servers: [{ host: "a", port: 1 }, { host: "b", port: 2181 }, { host: "::1", port: 3 }],
      chroot: "/c/d",
      warnings: [],
    });
    assert.equal(parseConnectString("a/").chroot, "");
    assert.equal(serverText({ host: "::1", port: 3 }), "[::1]:3");
  });

  it("may name an IPv6 address without brackets, if a port follows it", () => {
    assert.deepEqual(parseConnectString("::1:2181,2001:db8::7:99/c"), {
      servers: [{ host: "::1", port: 2181 }, { host: "2001:db8::7", port: 99 }],
      chroot: "/c",
      warnings: [
        '"::1:2181" is read as [::1]:2181: write an IPv6 address in [brackets]',
        '"2001:db8::7:99" is read as [2001:db8::7]:99: write an IPv6 address in [brackets]',
      ],
    });
    for (const text of ["::1", "1:2:3:4:5:6:7:8", "a:b:1", "a:1:2", "::1:70000", "[::1:2"]) {
      assert.throws(() => parseConnectString(text), /expected host:port/, text);
    }
  });

  it("keeps blanks that are no spaces", () => {
    assert.equal(parseConnectString(" a\u00a0:1 ").servers[0]?.host, "a\u00a0");
  });

  it("has a chroot that goes on and comes off", () => {
    for (const path of ["/", "/a", "/a/b"]) {
      assert.equal(pathOfCaller("/c", pathOnServer("/c", path)), path);
      assert.equal(pathOnServer("", path), path);
    }
    assert.equal(pathOnServer("/c", "/"), "/c");
    assert.equal(pathOfCaller("/c", "/cd"), "/cd");
  });
});

describe("a path", () => {
  const cases: [string, string | null][] = [
    ["/", null],
    ["/a/b", null],
    ["/...", null],
    ["/ü", null],
    ["", "Path length must be > 0"],
    ["a", "Path must start with / character"],
    ["/a/", "Path must not end with / character"],
    ["/a//b", 'Invalid path string "/a//b" caused by empty node name specified @3'],
    ["/a/./b", 'Invalid path string "/a/./b" caused by relative paths not allowed @3'],
    ["/a/..", 'Invalid path string "/a/.." caused by relative paths not allowed @4'],
    ["/a\0", 'Invalid path string "/a\0" caused by null character not allowed @2'],
    ["/a\u{1f600}", 'Invalid path string "/a\u{1f600}" caused by invalid character @2'],
    ["/\uf8ff", 'Invalid path string "/\uf8ff" caused by invalid character @1'],
  ];
  for (const [path, sentence] of cases) {
    it(`${JSON.stringify(path)} is ${sentence === null ? "one" : "none"}`, () => {
      assert.equal(pathProblem(path), sentence);
    });
  }
});

describe("the queue", () => {
  it("gives back what an array would", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 5000 }), (pushes) => {
        const queue = new Queue<number>();
        const list: number[] = [];
        for (const [i, push] of pushes.entries()) {
          if (push) {
            queue.push(i);
            list.push(i);
          } else assert.equal(queue.shift(), list.shift());
          assert.equal(queue.length, list.length);
          assert.equal(queue.peek(), list[0]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("stays in order when it never runs empty", () => {
    const queue = new Queue<number>();
    for (let i = 0; i < 5000; i++) queue.push(i);
    for (let i = 0; i < 20_000; i++) {
      assert.equal(queue.shift(), i);
      queue.push(5000 + i);
    }
    assert.equal(queue.length, 5000);
  });
});

describe("the watches of a client", () => {
  const hear = (): void => {};

  it("leave with their event when they are one-shot, and stay when they are not", () => {
    const watches = new Watches();
    for (const list of ["data", "exists", "children", "persistent", "persistentRecursive"] as const) {
      watches.add(list, "/a", hear);
    }
    assert.equal(watches.take(EventType.NodeChildrenChanged, "/a").size, 1);
    assert.equal(watches.count, 4);
    assert.equal(watches.take(EventType.NodeDeleted, "/a").size, 1);
    assert.equal(watches.count, 2);
    assert.equal(watches.take(EventType.NodeDeleted, "/a/b/c").size, 1, "recursive hears what is below");
    assert.equal(watches.take(EventType.NodeDeleted, "/ab").size, 0);
  });

  it("are removed by type", () => {
    const watches = new Watches();
    watches.add("data", "/a", hear);
    watches.add("children", "/a", hear);
    assert.deepEqual(watches.remove("/a", WatcherType.Data).map(({ event }) => event), [5]);
    assert.deepEqual(watches.remove("/a", WatcherType.Any).map(({ event }) => event), [6]);
    assert.deepEqual(watches.remove("/a", WatcherType.Any), []);
  });

  it("are armed again in portions that fit a frame, each path once", () => {
    const watches = new Watches();
    for (let i = 0; i < 5000; i++) {
      watches.add(i % 2 === 0 ? "data" : "persistent", `/${"x".repeat(80)}/${i}`, hear);
    }
    const seen: string[] = [];
    let portions = 0;
    for (const portion of watches.portions()) {
      portions++;
      const paths = Object.values(portion).flat();
      seen.push(...paths);
      assert.ok(paths.reduce((sum, path) => sum + path.length + 4, 0) <= setWatchesBytesMax);
    }
    assert.ok(portions > 1);
    assert.equal(new Set(seen).size, 5000);
    assert.equal(seen.length, 5000);
  });
});
