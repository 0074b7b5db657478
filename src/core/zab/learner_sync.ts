/**
 * Learner sync: one learner is brought level, from its ACKEPOCH to NEWLEADER. quorum-protocol 4.5, 4.6.
 *
 * A leader does this for all who follow it, and a follower for the observers that hang on it. They
 * differ in how far a learner has to get (`cut`), and in what follows NEWLEADER (`level`).
 *
 * ```
 *  plan ──diff, trunc───────────────────────────────► rest, from memory ──► NEWLEADER, `level`
 *    ├──snap: the tree, a piece at a time ──┐          ▲
 *    └──log: chunks from the disk ──────────┴──────────┘ what is between it and memory: from the log
 * ```
 *
 * Always true: the next piece is made when the one before it has left; from `live` on the learner has
 * been sent all that is committed here.
 */
import { observersUnreadBytesMax } from "../base/limits.ts";
import { type Zxid, zxidHex } from "../base/zxid.ts";
import type { SessionTable } from "../session/table.ts";
import type { Tree } from "../tree/tree.ts";
import { PacketType, writeDataPacket, writePacket } from "../wire/packets.ts";
import type { LogChunk } from "./disk.ts";
import type { EnsembleOptions } from "./ensemble.ts";
import type { LearnerLink, SyncKind } from "./learner_link.ts";
import type { Ledger } from "./ledger.ts";
import type { Link, LinkOutbox } from "./link.ts";
import { SnapshotWriter } from "./snapshot_writer.ts";
import { planSync } from "./sync_plan.ts";

/** What it needs of the peer around it. */
export interface SyncHost {
  readonly outbox: LinkOutbox;
  readonly ledger: Ledger;
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly ensemble: EnsembleOptions;
  readLog(after: Zxid, upTo: Zxid, then: (chunk: LogChunk) => void): number;
}

/** Whoever the learners hang on. */
export interface SyncMaster {
  /** What a learner has to get before NEWLEADER: all that is, or is going to be, committed history. */
  cut(): Zxid;
  /** What NEWLEADER says: `epoch << 32`. */
  zxidFirst(): Zxid;
  /** The learner has everything up to the cut, and NEWLEADER: what it gets beside is written now. */
  level(learner: LearnerLink, cut: Zxid): void;
  drop(learner: LearnerLink, event: string, reason: string): void;
}

const snapshotStepBytesDefault = 256 << 10;
/** A tree up to about so many steps is sent in one piece: nothing changes while it is written. */
const snapshotWholeSteps = 16;

export class LearnerSync {
  readonly #host: SyncHost;
  readonly #master: SyncMaster;
  readonly #newLeader: Uint8Array;
  /** Links of observers, and of strangers, that were brought level or are. */
  readonly #fed = new Set<Link>();
  #snapSyncs = 0;
  #diffSyncs = 0;
  readonly #stepBytes: number;
  /** Since start. */
  snaps = 0;
  diffs = 0;

  constructor(host: SyncHost, master: SyncMaster) {
    this.#host = host;
    this.#master = master;
    this.#stepBytes = host.ensemble.snapshotStepBytes ?? snapshotStepBytesDefault;
    this.#newLeader = new TextEncoder().encode(host.ensemble.configText);
  }

  /** The learner has told what it has (`zxidOwn`). */
  begin(learner: LearnerLink, monoMs: number): void {
    learner.phase = "sync";
    learner.syncStartedMs = monoMs;
    if (!learner.voting) {
      const unread = this.#unreadBytes();
      if (unread > observersUnreadBytesMax) {
        return this.#master.drop(learner, "sync_throttled", `other observers left ${unread} bytes unread`);
      }
      this.#fed.add(learner.link);
    }
    const cut = this.#master.cut();
    const plan = planSync(this.#host.ledger, learner.zxidOwn, cut);
    switch (plan.kind) {
      case "diff":
        if (this.#isTreeLess(learner, cut)) return this.#snapshot(learner);
        this.#open(learner, "diff", PacketType.Diff, cut);
        return this.#finish(learner, learner.zxidOwn);
      case "trunc":
        this.#open(learner, "trunc", PacketType.Trunc, plan.to);
        return this.#finish(learner, plan.to);
      case "snap":
        return this.#snapshot(learner);
      case "log":
        if (this.#host.ensemble.snapshotSizeFactor < 0) return this.#snapshot(learner);
        if (!this.#throttle(learner, "diff")) return;
        learner.read = this.#host.readLog(
          learner.zxidOwn as Zxid,
          cut,
          (chunk) => this.#logFirst(learner, chunk),
        );
        return;
    }
  }

  /** What observers were sent and did not read: each costs us its history. */
  #unreadBytes(): number {
    let bytes = 0;
    for (const link of this.#fed) {
      if (link.closed) this.#fed.delete(link);
      else bytes += link.unsentBytes + link.out.length;
    }
    return bytes;
  }

  /** Who has nothing keeps nothing by getting the history, and the tree may be less: an edge replica's start. */
  #isTreeLess(learner: LearnerLink, cut: Zxid): boolean {
    if (learner.zxidOwn !== 0) return false;
    let bytes = 0;
    this.#host.ledger.read(0, cut, (_bytes, start, end) => {
      bytes += end - start;
    });
    return bytes > this.#stepBytes && bytes > this.#treeBytes;
  }

  /** Of a snapshot, about. */
  get #treeBytes(): number {
    const { tree } = this.#host;
    return tree.dataBytes + tree.liveCount * 100;
  }

  /** All that was written to it has left. */
  drained(learner: LearnerLink): void {
    if (!isSyncing(learner)) return;
    if (learner.walk !== null) return this.#walkOn(learner, this.#stepBytes);
    if (learner.read === 0) this.#goOnFrom(learner, learner.zxidOwn as Zxid);
  }

  /** It is gone, or level. */
  release(learner: LearnerLink): void {
    learner.walk?.close();
    learner.walk = null;
    if (learner.throttled === "snap") this.#snapSyncs--;
    else if (learner.throttled === "diff") this.#diffSyncs--;
    learner.throttled = null;
  }

  #open(learner: LearnerLink, kind: SyncKind, type: PacketType, zxid: number): void {
    learner.syncKind = kind;
    if (kind === "snap") this.snaps++;
    else this.diffs++;
    writePacket(learner.link.out, type, zxid);
    this.#host.outbox.touchLink(learner.link);
  }

  /** Observers may be told to come again later; voters are always served. False: it was turned away. */
  #throttle(learner: LearnerLink, kind: "snap" | "diff"): boolean {
    this.release(learner);
    const { snapSyncsMax, diffSyncsMax } = this.#host.ensemble;
    const [running, max] = kind === "snap"
      ? [this.#snapSyncs, snapSyncsMax]
      : [this.#diffSyncs, diffSyncsMax];
    if (!learner.voting && running >= max) {
      this.#master.drop(learner, "sync_throttled", `${running} ${kind} syncs are running, ${max} may`);
      return false;
    }
    learner.throttled = kind;
    if (kind === "snap") this.#snapSyncs++;
    else this.#diffSyncs++;
    return true;
  }

  /** The first chunk of the log tells whether it reaches back to what the learner has. */
  #logFirst(learner: LearnerLink, chunk: LogChunk): void {
    if (!isSyncing(learner)) return;
    const { ensemble, tree } = this.#host;
    const tooMuch = chunk.bytesBehind >
      Math.max(this.#stepBytes * snapshotWholeSteps, tree.dataBytes * ensemble.snapshotSizeFactor);
    if (chunk.found !== "exact" || tooMuch) return this.#snapshot(learner);
    this.#open(learner, "diff", PacketType.Diff, this.#master.cut());
    this.#logNext(learner, chunk, learner.zxidOwn as Zxid);
  }

  /** Sends a chunk; the next when it has left, until memory goes on where the log ends. */
  #logNext(learner: LearnerLink, chunk: LogChunk, after: Zxid): void {
    if (!isSyncing(learner)) return;
    if (chunk.found === "missing") {
      // The log was cut while we read it: there is no way on but to begin again.
      return this.#master.drop(learner, "log_gone", `the log no longer reaches back to ${zxidHex(after)}`);
    }
    const { out } = learner.link;
    const b = chunk.bytes;
    for (let at = 0; at < b.length;) {
      const size = ((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) |
        (b[at + 3] as number);
      const hi = ((b[at + 16] as number) << 24) | ((b[at + 17] as number) << 16) |
        ((b[at + 18] as number) << 8) | (b[at + 19] as number);
      const lo = ((b[at + 20] as number) << 24) | ((b[at + 21] as number) << 16) |
        ((b[at + 22] as number) << 8) | (b[at + 23] as number);
      const zxid = hi * 0x1_0000_0000 + (lo >>> 0);
      writeDataPacket(out, PacketType.Proposal, zxid, b, at + 4, at + 4 + size);
      writePacket(out, PacketType.Commit, zxid);
      at += 4 + size;
    }
    learner.sent = Math.max(learner.sent, chunk.last);
    this.#host.outbox.touchLink(learner.link);
    if (chunk.last >= this.#host.ledger.floor) return this.#finish(learner, chunk.last);
    if (chunk.bytes.length === 0) {
      return this.#master.drop(
        learner,
        "log_short",
        `the log ends at ${zxidHex(chunk.last)}, before memory begins`,
      );
    }
    learner.zxidOwn = chunk.last;
    learner.read = 0;
    learner.link.wantsDrain = true;
  }

  #snapshot(learner: LearnerLink): void {
    if (!this.#throttle(learner, "snap")) return;
    const { tree, sessions, ledger } = this.#host;
    const zxid = ledger.committed;
    this.#open(learner, "snap", PacketType.Snap, zxid);
    learner.zxidOwn = zxid;
    learner.walk = new SnapshotWriter(tree, sessions, zxid);
    // A small tree leaves at once, of one piece; of a large one what fits, and the rest as it leaves.
    const whole = this.#treeBytes < this.#stepBytes * snapshotWholeSteps;
    this.#walkOn(learner, whole ? Infinity : this.#stepBytes);
  }

  #walkOn(learner: LearnerLink, bytesMax: number): void {
    const { walk } = learner;
    if (walk === null) return;
    const done = walk.fill(learner.link.out, bytesMax);
    this.#host.outbox.touchLink(learner.link);
    if (!done) {
      learner.link.wantsDrain = true;
      return;
    }
    walk.close();
    learner.walk = null;
    this.#goOnFrom(learner, learner.zxidOwn as Zxid);
  }

  /** What was committed meanwhile comes from memory, or where that was too long from the log. */
  #goOnFrom(learner: LearnerLink, after: Zxid): void {
    if (after >= this.#host.ledger.floor) return this.#finish(learner, after);
    learner.read = this.#host.readLog(
      after,
      this.#master.cut(),
      (chunk) => this.#logNext(learner, chunk, after),
    );
  }

  /** The rest, in one step; from here on the learner gets what all get. */
  #finish(learner: LearnerLink, after: number): void {
    const { ledger, outbox } = this.#host;
    const { out } = learner.link;
    this.release(learner);
    const cut = this.#master.cut();
    ledger.read(after, cut, (bytes, start, end, zxid) => {
      writeDataPacket(out, PacketType.Proposal, zxid, bytes, start, end);
      writePacket(out, PacketType.Commit, zxid);
    });
    learner.sent = cut;
    const text = this.#newLeader;
    writeDataPacket(out, PacketType.NewLeader, this.#master.zxidFirst(), text, 0, text.length);
    learner.phase = "newLeader";
    learner.live = true;
    this.#master.level(learner, cut);
    outbox.touchLink(learner.link);
  }
}

function isSyncing(learner: LearnerLink): boolean {
  return !learner.link.closed && learner.phase === "sync";
}
