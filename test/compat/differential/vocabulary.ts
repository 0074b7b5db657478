/**
 * Vocabulary: the paths, ACLs, data and numbers that random requests are made of.
 *
 * Few paths, so that requests meet; among them every kind of illegal one. Watches are dealt out so
 * that two things in which Apache ZooKeeper 3.8.0 differs on purpose never happen: see `watchRule`.
 */
import { bytesOf } from "../../../src/core/base/bytes.ts";
import type { LooseAcl, LoosePath } from "../../support/bodies.ts";
import { openAcl } from "../../support/bodies.ts";
import type { Random } from "../../support/random.ts";

export const slotCount = 4;

const names = ["a", "b", "c"];

/** Three levels of three names, and `ab`, of which `a` is a prefix but not a parent. */
export const plainPaths: readonly string[] = [
  ...names.map((x) => `/${x}`),
  "/ab",
  ...names.flatMap((x) => names.map((y) => `/${x}/${y}`)),
  ...names.flatMap((x) => names.slice(0, 2).flatMap((y) => names.slice(0, 2).map((z) => `/${x}/${y}/${z}`))),
];

const reservedPaths = [
  "/",
  "/",
  "/",
  "/zookeeper",
  "/zookeeper/config",
  "/zookeeper/quota",
  "/zookeeper/foo",
];

/** What no znode may be called, at least for a write, and a few odd names that are fine. server-semantics 2.1. */
export const oddPaths: readonly LoosePath[] = [
  "",
  "a",
  "a/b",
  "/a/",
  "/a/b/",
  "//",
  "/a//b",
  "/a/.",
  "/a/..",
  "/a/./b",
  "/a/../b",
  "/.",
  "/..",
  "/...",
  "/.x",
  "/a/...",
  "/\u0000",
  "/a\u0000b",
  "/a\u0001",
  "/a\u001f",
  "/a\u007f",
  "/a\u009f",
  "/a\u00a0",
  "/\u00e9",
  "/\u65e5\u672c",
  "/\ue000",
  "/\uf8ff",
  "/\uf900",
  "/\uffef",
  "/\ufff0",
  "/\ufffd",
  "/\uffff",
  "/\u{1f600}",
  null,
  new Uint8Array([0x2f, 0xff]),
  new Uint8Array([0x2f, 0xc0, 0x80]),
  new Uint8Array([0x2f, 0xed, 0xa0, 0x80]),
  "/ ",
  "/a b",
  "/a\n",
  "/missing/x",
  "/a/b/a/deep/er",
];

export function pickPath(
  random: Random,
  sequential: readonly string[],
  alive: ReadonlySet<string>,
): LoosePath {
  const at = random.below(100);
  if (at < 5) return random.pick(oddPaths);
  if (at < 10) return random.pick(reservedPaths);
  if (at < 18 && sequential.length > 0) return random.pick(sequential);
  if (at < 65 && alive.size > 0) return random.pick([...alive]);
  return random.pick(plainPaths);
}

/** A path that is written in the end, from a node that is likely to exist. */
export function pickPlainPath(random: Random): string {
  return random.pick(plainPaths);
}

export type WatchKind = "standard" | "persistent" | "recursive";

/**
 * Who may watch a path, and how.
 *
 * 3.8.0 keeps one mode per connection and path (DIVERGENCES "watch modes coexist"), so each path is
 * given one kind. Its checkWatches is satisfied by another connection's watch (DIVERGENCES
 * "checkWatches looks at the own connection"), so a path that is checked belongs to one slot.
 * An owner of -1: anyone watches, nobody checks or removes.
 */
export function watchRule(path: string): { readonly owner: number; readonly kind: WatchKind } {
  let hash = 7;
  for (let i = 0; i < path.length; i++) hash = (Math.imul(hash, 31) + path.charCodeAt(i)) | 0;
  hash = (hash ^ (hash >>> 13)) >>> 0;
  const kind: WatchKind = hash % 10 < 6 ? "standard" : hash % 10 < 8 ? "persistent" : "recursive";
  const owner = (Math.floor(hash / 10) % (slotCount + 2)) - 2;
  return { owner: owner < 0 ? -1 : owner, kind };
}

export const users = ["u0:p0", "u1:p1", "u2:p2", "u3:p3"] as const;
/** base64(SHA-1("user:password")) of each, as `digest` ids. */
export const userIds = [
  "u0:kn4sLJzXfp7KZRbZugmnVcIMGpM=",
  "u1:fpT/y03U+EjItKZOSLGvjnJlyng=",
  "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE=",
  "u3:Im5xY/YYc2xRYjWcy4eAeBEG1fk=",
];
export const superUser = "super:admin";
export const superDigest = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";

const permChoices = [31, 31, 31, 1, 2, 4, 8, 16, 3, 15, 30, 17];

/**
 * ACL entries that are wrong, or odd and right. server-semantics 6.1.
 * DIVERGENCES "a null inside an ACL": an id that is null stands only where 3.8.0 never looks at it.
 */
const oddAcls: readonly LooseAcl[] = [
  { perms: 31, scheme: "world", id: "nobody" },
  { perms: 31, scheme: "world", id: "" },
  { perms: 31, scheme: null, id: "anyone" },
  { perms: 31, scheme: null, id: null },
  { perms: 31, scheme: "", id: "" },
  { perms: 31, scheme: "super", id: "" },
  { perms: 31, scheme: "super", id: "super:admin" },
  { perms: 31, scheme: "bogus", id: "x" },
  { perms: 31, scheme: "sasl", id: "bob" },
  { perms: 31, scheme: "x509", id: "CN=bob" },
  { perms: 31, scheme: "digest", id: "a" },
  { perms: 31, scheme: "digest", id: "a:" },
  { perms: 31, scheme: "digest", id: "a:b:c" },
  { perms: 31, scheme: "digest", id: ":" },
  { perms: 31, scheme: "digest", id: "" },
  { perms: 31, scheme: "ip", id: "" },
  { perms: 31, scheme: "ip", id: "127.0.0" },
  { perms: 31, scheme: "ip", id: "127.0.0.1/33" },
  { perms: 31, scheme: "ip", id: "127.0.0.1/-1" },
  { perms: 31, scheme: "ip", id: "127.0.0.1/x" },
  { perms: 31, scheme: "ip", id: "256.0.0.1" },
  { perms: 31, scheme: "ip", id: "127.0.0.1/8/8" },
  { perms: 31, scheme: "ip", id: "a.b.c.d" },
  // Right, if unusual.
  { perms: 31, scheme: "digest", id: ":b" },
  { perms: 31, scheme: "digest", id: "\u00e9:x" },
  { perms: 31, scheme: "ip", id: "127.0.0.1" },
  { perms: 31, scheme: "ip", id: "127.0.0.0/8" },
  { perms: 31, scheme: "ip", id: "127.1.2.3/8" },
  { perms: 31, scheme: "ip", id: "0.0.0.0/0" },
  { perms: 31, scheme: "ip", id: "10.0.0.1" },
  { perms: 0, scheme: "world", id: "anyone" },
  { perms: 99, scheme: "world", id: "anyone" },
  { perms: -1, scheme: "world", id: "anyone" },
];

function pickEntry(random: Random): LooseAcl {
  const perms = random.pick(permChoices);
  switch (random.below(6)) {
    case 0:
    case 1:
      return { perms, scheme: "world", id: "anyone" };
    case 2:
      return { perms, scheme: "auth", id: random.pick(["", "ignored", null]) };
    case 3:
    case 4:
      return { perms, scheme: "digest", id: random.pick(userIds) };
    default:
      return random.pick(oddAcls);
  }
}

/** Mostly open: a tree that nobody may touch has no more differences to show. */
export function pickAcls(random: Random, openShare: number): readonly LooseAcl[] | null {
  if (random.percent(openShare)) return openAcl;
  const kind = random.below(20);
  if (kind === 0) return null;
  if (kind === 1) return [];
  const list: LooseAcl[] = [];
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) list.push(pickEntry(random));
  // DIVERGENCES "a null inside an ACL": 3.8.0 stumbles when it compares two such entries, so one stands alone.
  const withNull = list.find((acl) => acl.scheme === null || acl.id === null);
  if (withNull !== undefined) return [withNull];
  if (random.percent(20)) list.push(random.pick(list));
  if (random.percent(40)) list.push({ perms: 31, scheme: "world", id: "anyone" });
  return list;
}

export function pickData(random: Random): Uint8Array | null {
  const kind = random.below(40);
  if (kind < 3) return null;
  if (kind < 7) return new Uint8Array(0);
  if (kind < 30) return bytesOf(`value ${random.below(1000)}`);
  if (kind < 39) return random.bytes(random.below(64));
  return random.bytes(1000 + random.below(9000));
}

export function pickVersion(random: Random, current: number | undefined): number {
  if (current !== undefined && random.percent(50)) return current;
  return random.pick([-1, -1, -1, -1, 0, 0, 1, 2, 3, -2, 2147483647, -2147483648]);
}

/** -1 is left to requests whose replies cannot look like a watch event. */
export function pickXid(random: Random, next: number): number {
  if (!random.percent(4)) return next;
  return random.pick([0, -8, -9, -4, -2, 1, 2147483647, -2147483648]);
}
