/**
 * Memory: all that a peer holds between steps of what is committed. The tree, the sessions, who watches
 * and who is connected; and over it the overlay, what will be once all that is proposed commits.
 *
 * It is filled from the disk at birth, from a leader's snapshot, or from the disk again when a snapshot
 * came to nothing; always the same objects, cleared first.
 */
import { Applier } from "../ops/applier.ts";
import { SessionTable } from "../session/table.ts";
import { Overlay } from "../tree/overlay.ts";
import { Quotas } from "../tree/quota.ts";
import { Tree } from "../tree/tree.ts";
import { WatchTable } from "../watch/table.ts";
import { ConnectionTable } from "./connection_table.ts";
import type { PeerCounters } from "./counters.ts";
import type { PeerOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";

export class Memory {
  readonly tree: Tree;
  readonly sessions: SessionTable;
  readonly dataWatches: WatchTable;
  readonly childWatches: WatchTable;
  readonly connections: ConnectionTable;
  readonly quotas: Quotas;
  readonly overlay: Overlay;
  readonly applier: Applier;

  constructor(options: PeerOptions, outbox: Outbox, counters: PeerCounters) {
    const { hashSeed, judge } = options;
    this.tree = new Tree({ digestEnabled: options.digestEnabled, hashSeed });
    this.sessions = new SessionTable(options.tickMs);
    this.dataWatches = new WatchTable(hashSeed);
    this.childWatches = new WatchTable(hashSeed);
    this.connections = new ConnectionTable(outbox, counters, [this.dataWatches, this.childWatches]);
    this.quotas = new Quotas(this.tree, { enforce: judge.enforceQuota });
    this.overlay = new Overlay(this.tree);
    this.applier = new Applier({
      tree: this.tree,
      overlay: this.overlay,
      quotas: this.quotas,
      sessions: this.sessions,
      data: this.dataWatches,
      child: this.childWatches,
      listeners: this.connections,
      skipAcl: judge.skipAcl,
    });
  }

  /** Nothing is known any more, until it is filled and `ready`. Nobody is connected then. */
  clear(): void {
    this.overlay.drop();
    this.tree.clear();
    this.sessions.clear();
    this.applier.zxid = 0;
    this.applier.digests.length = 0;
    this.applier.digestMatched = true;
    this.ready();
  }

  /** What was put into the tree, from wherever, is all of it. */
  ready(): void {
    this.quotas.rebuild();
    this.overlay.drop();
  }

  /** What was proposed and did not commit will never be known to. */
  forgetProposed(): void {
    this.overlay.drop();
    this.quotas.settleAll();
    this.sessions.rest();
  }
}
