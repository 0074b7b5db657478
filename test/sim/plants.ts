/**
 * Plants: rules broken on purpose, to see that each is noticed.
 *
 * Nothing of this is in the core: a method of one peer is wrapped, a message is changed on its way, or
 * the disk does what it must not. A few are done where they belong (`disk.ts`, `world.ts`,
 * `options.ts`) under their name. test/README.md says how many seeds each of them took.
 */
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { aclOpenBytes } from "../../src/core/tree/acl.ts";
import { rootRow } from "../../src/core/tree/tree.ts";
import { sessionIdOf } from "../../src/core/base/zxid.ts";
import { WatchMode } from "../../src/core/watch/table.ts";
import { bytesOf } from "../../src/core/base/bytes.ts";
import type { TreeFile } from "../../src/storage/tree_file.ts";
import type { TreeFollower } from "../../src/storage/tree_follower.ts";
import type { Peer } from "../../src/core/peer/peer.ts";

export type Plant = "none" | keyof typeof plantTexts;

export const plantTexts = {
  ackBeforeDurable: "a disk says that a txn is durable before it is",
  commitWithoutQuorum: "one vote is enough",
  skipTrunc: "a learner keeps what its leader told it to truncate",
  diskLosesTail: "a power cut takes the last txn that was durable",
  epochForgotten: "after a crash a member knows no epoch but that of its last txn",
  snapshotLosesAcls: "a snapshot loses all ACLs",
  snapshotLosesSessions: "a stored snapshot has no sessions",
  snapshotLosesTail: "the log behind a snapshot is not stored",
  ignoreSetAcl: "a learner ignores setACL",
  keepAcl: "a learner counts a setACL and keeps the old list",
  aclUnchecked: "requests need no permission",
  addressForgotten: "a member knows no client's address",
  closeRaisesPzxid: "a replayed closeSession raises the pzxid of a parent",
  closeLeavesEphemeral: "a closeSession leaves the last ephemeral of its session",
  longCloseLeavesRest: "a closeSession takes only the ephemerals that its txn lists",
  closeLeavesSession: "a learner keeps a session that was closed",
  sessionRenewalLost: "a learner names no living sessions to its leader",
  sessionTimeoutHalved: "a member keeps half the timeout of a session",
  watchLost: "one change in ten fires no watch",
  persistentOnce: "a persistent watch fires once",
  recursiveShallow: "a recursive watch hears of nothing below its path",
  quotaUncounted: "what is deleted stays in the statistics of its quota",
  quotaUnenforced: "no hard limit holds",
  tableKeepsAcl: "the stored table keeps old ACLs",
  tableRaisesPzxid: "the stored table removes an ephemeral again when its session closes",
  eventTwice: "each event is sent twice",
  replyBeforeEvent: "a reply is sent before the event that was to come first",
  requestsSwapped: "two requests of one client change places",
  syncAtOnce: "a sync is answered without its leader",
  linkLosesWrites: "one write in fifty to another member is lost",
  restartLosesVersion: "a restart loses the versions of znodes",
  restartShortensTtl: "a restart or a snapshot makes a TTL a quarter of what it was",
} as const;

export const plants = Object.keys(plantTexts) as (keyof typeof plantTexts)[];

/** Breaks this peer at its birth. */
export function plantInPeer(plant: Plant, peer: Peer): void {
  const { applier, tree, sessions } = peer;
  const isLearner = () => peer.leader === null;
  switch (plant) {
    case "snapshotLosesAcls":
    case "restartLosesVersion":
    case "restartShortensTtl": {
      const load = tree.load.bind(tree);
      tree.load = (...args) => {
        if (plant === "snapshotLosesAcls") args[15] = null;
        else if (plant === "restartLosesVersion") args[10] = 0;
        else if (args[13] >>> 24 === 0xff) args[14] >>>= 2;
        return load(...args);
      };
      return;
    }
    case "ignoreSetAcl":
    case "keepAcl": {
      const set = applier.aclSet.bind(applier);
      applier.aclSet = (bytes, pathStart, pathEnd, aclsStart, aclsEnd, version, zxid) => {
        if (!isLearner()) set(bytes, pathStart, pathEnd, aclsStart, aclsEnd, version, zxid);
        else if (plant === "keepAcl") {
          // The open list stands for whatever was there.
          const end = aclOpenBytes.length;
          const row = tree.findLive(bytes, pathStart, pathEnd);
          if (row !== 0) tree.setAcl(row, aclOpenBytes, 0, end, version);
        }
      };
      return;
    }
    case "closeRaisesPzxid": {
      const apply = applier.apply.bind(applier);
      applier.apply = (bytes, start, end, type, zxid, reply) => {
        const code = apply(bytes, start, end, type, zxid, reply);
        const isReplayed = peer.election === null || (!peer.serving && reply === null);
        if (type === OpCode.CloseSession && isReplayed) tree.touchParent(rootRow, zxid);
        return code;
      };
      return;
    }
    case "closeLeavesEphemeral": {
      const ephemerals = tree.ephemeralRows.bind(tree);
      const finish = applier.finishSessionClose.bind(applier);
      const deleted = applier.deleted.bind(applier);
      let closing = false;
      const closed = applier.sessionClosed.bind(applier);
      applier.sessionClosed = (hi, lo) => {
        closing = true;
        closed(hi, lo);
      };
      applier.deleted = (bytes, pathStart, pathEnd, zxid) => {
        if (!closing) deleted(bytes, pathStart, pathEnd, zxid);
        closing = false;
      };
      tree.ephemeralRows = (session) => closing ? new Set() : ephemerals(session);
      applier.finishSessionClose = (hi, lo, zxid) => {
        closing = true;
        finish(hi, lo, zxid);
        closing = false;
      };
      return;
    }
    case "longCloseLeavesRest":
      applier.finishSessionClose = (hi, lo) => sessions.close(sessionIdOf(hi, lo));
      return;
    case "closeLeavesSession": {
      const close = sessions.close.bind(sessions);
      sessions.close = (id) => {
        if (!isLearner()) close(id);
      };
      return;
    }
    case "sessionTimeoutHalved": {
      const open = sessions.open.bind(sessions);
      sessions.open = (id, timeoutMs) => open(id, timeoutMs >> 1);
      return;
    }
    case "watchLost": {
      const { dataWatches } = peer;
      const fire = dataWatches.fire.bind(dataWatches);
      let count = 0;
      dataWatches.fire = (bytes, start, end) => {
        fire(bytes, start, end);
        if (++count % 10 === 0) dataWatches.hitCount = 0;
      };
      return;
    }
    case "persistentOnce":
    case "recursiveShallow": {
      const { Standard, Persistent, Recursive } = WatchMode;
      const [from, to] = plant === "persistentOnce" ? [Persistent, Standard] : [Recursive, Persistent];
      const { dataWatches } = peer;
      const add = dataWatches.add.bind(dataWatches);
      dataWatches.add = (connection, bytes, start, end, mode) =>
        add(connection, bytes, start, end, mode === from ? to : mode);
      return;
    }
    case "quotaUncounted": {
      const { quotas } = peer;
      const applied = quotas.applied.bind(quotas);
      quotas.applied = (bytes, start, end, count, size) => {
        if (count >= 0) applied(bytes, start, end, count, size);
      };
      return;
    }
    case "quotaUnenforced":
      peer.quotas.admits = () => true;
      return;
    default:
  }
}

/** What a member writes to a client in one turn: whole frames. */
export function plantInReplies(plant: Plant, bytes: Uint8Array): Uint8Array {
  if (plant !== "replyBeforeEvent" && plant !== "eventTwice") return bytes;
  const frames = framesOf(bytes);
  const events = frames.filter(isEvent);
  const others = frames.filter((frame) => !isEvent(frame));
  return joined(plant === "eventTwice" ? [...events, ...frames] : [...others, ...events]);
}

function isEvent(frame: Uint8Array): boolean {
  // A welcome is shorter or begins with a version of 0.
  return frame.length > 20 && new DataView(frame.buffer, frame.byteOffset).getInt32(4) === -1;
}

function framesOf(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + view.getInt32(at);
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Breaks what one chunk of the log does to the stored table. */
export function plantInFollower(plant: Plant, follower: TreeFollower, tree: TreeFile): void {
  if (plant === "tableKeepsAcl") follower.aclSet = () => {};
  if (plant !== "tableRaisesPzxid") return;
  const closed = follower.sessionClosed.bind(follower);
  follower.sessionClosed = (hi, lo, zxid) => {
    for (const path of tree.ownedBy(hi, lo)) {
      const bytes = bytesOf(path);
      follower.deleted(bytes, 0, bytes.length, zxid);
    }
    closed(hi, lo, zxid);
  };
}

/** One frame from a client, without its length. */
export function plantInRequest(plant: Plant, frame: Uint8Array): Uint8Array {
  if (plant !== "syncAtOnce" || frame.length < 13) return frame;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getInt32(4) !== OpCode.Sync || view.getInt32(0) < 0) return frame;
  const read = joined([frame, new Uint8Array(1)]);
  new DataView(read.buffer).setInt32(4, OpCode.Exists);
  return read;
}

/** What one turn writes to another member; null is lost. `nth` counts the writes of this connection. */
export function plantInLink(
  plant: Plant,
  byLearner: boolean,
  bytes: Uint8Array,
  nth: number,
): Uint8Array | null {
  if (plant === "linkLosesWrites" && nth % 50 === 49) return null;
  if (plant !== "sessionRenewalLost" || !byLearner || bytes.length < 20) return bytes;
  // A ping alone: type, zxid, the sessions as data, no identities.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getInt32(0) !== 5 || view.getInt32(12) !== bytes.length - 20) return bytes;
  const empty = joined([bytes.subarray(0, 16), bytes.subarray(bytes.length - 4)]);
  new DataView(empty.buffer).setInt32(12, 0);
  return empty;
}
