/** The tree against a Map, digests recomputed from scratch. server-semantics 1, 10.9. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { encodeAcls } from "../../../src/core/tree/acl.ts";
import { I, rootRow, Tree } from "../../../src/core/tree/tree.ts";
import type { StatStored } from "../../../src/core/tree/stat.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { aclRead } from "../../../src/core/wire/records.ts";

interface Node extends StatStored {
  data: Uint8Array | null;
  isRead: boolean;
}

function zeros(): StatStored {
  return {
    czxid: 0,
    mzxid: 0,
    pzxid: 0,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ownerHi: 0,
    ownerLo: 0,
  };
}

const emptyNode = (): Node => ({ ...zeros(), data: new Uint8Array(0), isRead: false });

/** CRC-32 over path, data and sixty bytes of stat, pzxid third. */
function digestOf(path: string, node: Node): bigint {
  if (path.startsWith("/zookeeper/")) return 0n;
  const stat = new DataView(new ArrayBuffer(60));
  [node.czxid, node.mzxid, node.pzxid, node.ctime, node.mtime].forEach((value, i) =>
    stat.setBigInt64(8 * i, BigInt(value))
  );
  [node.version, node.cversion, node.aversion, node.ownerHi, node.ownerLo].forEach((value, i) =>
    stat.setInt32(40 + 4 * i, value)
  );
  const data = node.data ?? new Uint8Array(0);
  const name = path === "/" ? "" : path;
  return BigInt(crc32(Buffer.concat([bytesOf(name), data, new Uint8Array(stat.buffer)])));
}

class Dumb {
  readonly nodes = new Map<string, Node>([
    ["/", emptyNode()],
    ["/zookeeper", emptyNode()],
    ["/zookeeper/quota", emptyNode()],
    ["/zookeeper/config", { ...emptyNode(), aversion: -1, isRead: true }],
  ]);

  parentOf(path: string): string {
    return path.slice(0, path.lastIndexOf("/")) || "/";
  }

  children(path: string): string[] {
    return [...this.nodes.keys()].filter((one) => one !== "/" && this.parentOf(one) === path)
      .map((one) => one.slice(one.lastIndexOf("/") + 1)).sort();
  }

  get digest(): bigint {
    let sum = 0n;
    for (const [path, node] of this.nodes) sum += digestOf(path, node);
    return BigInt.asUintN(64, sum);
  }

  get dataBytes(): number {
    let sum = 0;
    for (const [path, node] of this.nodes) sum += (path === "/" ? 0 : path.length) + (node.data?.length ?? 0);
    return sum;
  }
}

const openAcls = new Uint8Array([0, 0, 0, 0]);
const readAcls = encodeAcls(aclRead);
const paths = [
  "/a",
  "/b",
  "/a/b",
  "/a/c",
  "/a/b/c",
  "/zookeeper/x",
  "/zookeeper/x/y",
  "/zookeeperx",
  "/zookeeper",
];

const owner = fc.constantFrom([0, 0], [0, 0], [1, 7], [1, 8], [0x8000_0000 | 0, 0], [0xff00_0001 | 0, 5]);
const step = fc.record({
  what: fc.constantFrom("create", "create", "create", "delete", "delete", "setData", "setAcl", "load"),
  path: fc.constantFrom(...paths),
  data: fc.option(
    fc.oneof(
      { weight: 20, arbitrary: fc.uint8Array({ maxLength: 9 }) },
      { weight: 1, arbitrary: fc.constant(new Uint8Array(70_000).fill(7)) },
    ),
    {
      nil: null,
    },
  ),
  owner,
  isRead: fc.boolean(),
  number: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
});

function fresh(digestEnabled = true): Tree {
  const tree = new Tree({ digestEnabled });
  tree.makeReserved();
  return tree;
}

test("a fresh tree has the digest of Apache ZooKeeper's", () => {
  const tree = fresh();
  assert.equal(tree.digest.value, 1371985504n);
  assert.equal(new Dumb().digest, 1371985504n);
  assert.equal(fresh(false).digest.value, 0n);
});

test("a tree is what a Map would be", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), fc.boolean(), (steps, digestEnabled) => {
      const tree = fresh(digestEnabled);
      const dumb = new Dumb();
      let zxid = 0;
      for (const { what, path, data, owner: [hi, lo], isRead, number } of steps) {
        zxid++;
        // One record as it would stand in a txn, with other bytes around it.
        const acls = isRead ? readAcls : openAcls;
        const bytes = new Uint8Array([9, ...bytesOf(path), ...(data ?? []), ...acls, 9]);
        const pathEnd = 1 + path.length;
        const dataEnd = pathEnd + (data?.length ?? 0);
        const dataStart = data === null ? -1 : pathEnd;
        const parent = dumb.nodes.get(dumb.parentOf(path));
        const node = dumb.nodes.get(path);
        const row = tree.findText(path);
        assert.equal(row !== 0, node !== undefined);
        if (what === "create") {
          const next = ((parent?.cversion ?? 0) + 1) | 0;
          const cversion = number > 0 ? -1 : next;
          const made = tree.create(
            bytes,
            1,
            pathEnd,
            dataStart,
            dataEnd,
            dataEnd,
            dataEnd + acls.length,
            hi as number,
            lo as number,
            cversion,
            zxid,
            1000 + zxid,
          );
          assert.equal(made !== 0, parent !== undefined && node === undefined);
          // At its end the count stands still, and pzxid with it.
          if (parent !== undefined && next > parent.cversion) {
            parent.cversion = next;
            parent.pzxid = zxid;
          }
          if (made === 0) continue;
          dumb.nodes.set(path, {
            ...zeros(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: 1000 + zxid,
            mtime: 1000 + zxid,
            ownerHi: hi as number,
            ownerLo: lo as number,
            data: data?.slice() ?? null,
            isRead,
          });
        } else if (what === "load") {
          // None twice: storage has paths as keys.
          if (node !== undefined) continue;
          if (node !== undefined) continue;
          const stat = { ...zeros(), czxid: zxid, cversion: number, version: number, aversion: 3, mtime: 17 };
          const loaded = tree.load(
            bytes,
            1,
            pathEnd,
            dataStart,
            dataEnd,
            zxid,
            0,
            0,
            0,
            17,
            number,
            number,
            3,
            hi as number,
            lo as number,
            isRead ? readAcls : null,
          );
          tree.endLoad();
          assert.equal(loaded, parent !== undefined);
          if (loaded) {
            dumb.nodes.set(path, {
              ...stat,
              ownerHi: hi as number,
              ownerLo: lo as number,
              data: data?.slice() ?? null,
              isRead,
            });
          }
        } else if (node === undefined || parent === undefined) continue;
        else if (what === "delete") {
          if (dumb.children(path).length > 0) continue;
          tree.delete(row, path.length, zxid);
          dumb.nodes.delete(path);
          parent.pzxid = Math.max(parent.pzxid, zxid);
        } else if (what === "setData") {
          tree.setData(row, bytes, dataStart, dataEnd, number, zxid, 2000 + zxid, -1, 0);
          Object.assign(node, {
            data: data?.slice() ?? null,
            version: number,
            mzxid: zxid,
            mtime: 2000 + zxid,
          });
        } else {
          tree.setAcl(row, bytes, dataEnd, dataEnd + acls.length, number);
          Object.assign(node, { isRead, aversion: number });
        }
      }
      compare(tree, dumb, digestEnabled);
    }),
    { numRuns: 150 },
  );
});

function compare(tree: Tree, dumb: Dumb, digestEnabled: boolean): void {
  assert.equal(tree.liveCount, dumb.nodes.size);
  assert.equal(tree.dataBytes, dumb.dataBytes);
  assert.equal(tree.digest.value, digestEnabled ? dumb.digest : 0n);
  const kinds = {
    ephemerals: new Map<bigint, Set<number>>(),
    containers: new Set<number>(),
    ttls: new Set<number>(),
  };
  let lists = false;
  for (const [path, node] of dumb.nodes) {
    const row = tree.findText(path);
    assert.notEqual(row, 0, path);
    assert.equal(tree.pathOf(row), path);
    const stat = zeros();
    tree.readStat(row, stat);
    const { data, isRead, ...expected } = node;
    assert.deepEqual(stat, expected);
    const has = tree.dataOf(row);
    assert.equal(has === null, data === null);
    assert.ok(Buffer.from(has ?? []).equals(data ?? new Uint8Array(0)), path);
    assert.equal(tree.acls.list(tree.int(row, I.acl))[0]?.perms, isRead ? 1 : 31);
    lists ||= isRead;
    const names: string[] = [];
    for (let child = tree.int(row, I.childFirst); child !== 0; child = tree.int(child, I.siblingNext)) {
      names.push(tree.nameOf(child));
    }
    assert.deepEqual(names.sort(), dumb.children(path));
    assert.equal(tree.int(row, I.children), names.length);
    const below = [...dumb.nodes.keys()].filter((one) =>
      one.startsWith(path === "/" ? "/" : `${path}/`) && one !== "/"
    );
    assert.equal(tree.descendants(row), below.length);
    assert.equal(
      tree.bytesBelow(row),
      below.reduce((sum, one) => sum + (dumb.nodes.get(one)?.data?.length ?? 0), 0),
      path,
    );
    const { ownerHi: hi, ownerLo: lo } = node;
    if (hi === (0x8000_0000 | 0)) kinds.containers.add(row);
    else if (hi >>> 24 === 0xff) kinds.ttls.add(row);
    else if (hi !== 0) {
      const id = sessionIdOf(hi, lo);
      kinds.ephemerals.set(id, (kinds.ephemerals.get(id) ?? new Set()).add(row));
    }
  }
  assert.deepEqual(new Set(tree.containers.keys()), kinds.containers);
  assert.deepEqual(new Set(tree.ttls.keys()), kinds.ttls);
  assert.deepEqual(tree.ephemerals, kinds.ephemerals);
  assert.equal(tree.ephemeralCount, [...kinds.ephemerals.values()].reduce((sum, set) => sum + set.size, 0));
  assert.equal(tree.acls.size, lists ? 2 : 1);
  assert.equal(tree.rows.count, dumb.nodes.size);
}

test("odd paths name nothing, and the empty one the root", () => {
  const tree = fresh();
  const find = (path: string) => {
    const bytes = bytesOf(`x${path}x`);
    return tree.find(bytes, 1, bytes.length - 1);
  };
  for (const path of ["", "/"]) assert.equal(find(path), rootRow);
  for (
    const path of [
      "//",
      "a",
      "/zookeeper/",
      "//zookeeper",
      "/zookeeper//quota",
      "zookeeper",
      "/ZOOKEEPER",
      "/\0",
    ]
  ) {
    assert.equal(find(path), 0, path);
  }
  assert.equal(find("/zookeeper"), tree.findText("/zookeeper"));
  assert.equal(find(`/${"a/".repeat(200_000)}a`), 0);
  assert.equal(find("/".repeat(500_000)), 0);
  // A view that ends early ends the path.
  const bytes = bytesOf("/zookeeper/quota");
  assert.equal(tree.find(bytes, 0, 10), tree.findText("/zookeeper"));
});

test("a tree a thousand levels deep is walked down and up", () => {
  const tree = fresh();
  let path = "";
  for (let i = 0; i < 1000; i++) {
    path += `/${i}`;
    const bytes = bytesOf(path);
    assert.notEqual(tree.create(bytes, 0, bytes.length, -1, 0, 0, 0, 0, 0, -1, i + 1, 1), 0);
  }
  assert.equal(tree.pathOf(tree.findText(path)), path);
  assert.equal(tree.descendants(rootRow), 1003);
});

test("200,000 children of one parent are found, and cost the same to remove", () => {
  const tree = fresh(false);
  const name = (i: number) => bytesOf(`/n${i}`);
  for (let i = 0; i < 200_000; i++) tree.create(name(i), 0, name(i).length, -1, 0, 0, 0, 0, 0, -1, i + 1, 1);
  const began = performance.now();
  for (let i = 0; i < 200_000; i += 2) {
    tree.delete(tree.findLive(name(i), 0, name(i).length), name(i).length, 1);
  }
  assert.ok(performance.now() - began < 3000);
  assert.equal(tree.liveCount, 100_004);
  assert.equal(tree.findLive(name(2), 0, 3), 0);
  assert.notEqual(tree.findLive(name(3), 0, 3), 0);
});
