/**
 * Read rounds: how a leader makes sure that it still leads before it answers a `sync`.
 *
 * The original answers from what it believes, so a leader that was cut off tells an old state until
 * it notices. Here each sync waits for one round of pings that began after it came: when a quorum
 * has answered, no other leader had committed anything before. Syncs that come during a round share
 * the next one.
 *
 * Always true: syncs are released in the order they came.
 */
import type { Quorum } from "../base/quorum.ts";
import type { LearnerLink } from "./learner_link.ts";

export interface WaitingSync {
  /** Its answer must come behind this commit. */
  readonly zxid: number;
  readonly release: () => void;
}

export class ReadRounds {
  readonly #quorum: Quorum;
  readonly #sid: number;
  readonly #ping: () => Iterable<LearnerLink>;
  /** Of the round that runs: how many pings each has to have answered. */
  #needed: Map<LearnerLink, number> | null = null;
  #running: WaitingSync[] = [];
  #next: WaitingSync[] = [];
  /** Confirmed, and waiting for their commit alone. */
  #confirmed: WaitingSync[] = [];

  /** `ping` pings every active learner and tells which. */
  constructor(quorum: Quorum, sid: number, ping: () => Iterable<LearnerLink>) {
    this.#quorum = quorum;
    this.#sid = sid;
    this.#ping = ping;
  }

  get size(): number {
    return this.#running.length + this.#next.length + this.#confirmed.length;
  }

  add(sync: WaitingSync, committed: number): void {
    this.#next.push(sync);
    if (this.#needed === null) this.#start(committed);
  }

  #start(committed: number): void {
    this.#running = this.#next;
    this.#next = [];
    this.#needed = new Map();
    for (const learner of this.#ping()) this.#needed.set(learner, learner.pingsSent);
    this.advance(committed);
  }

  /**
   * This one follows from now on, and is asked like all the others: of those that were asked when the
   * round began too many may be gone.
   */
  joined(learner: LearnerLink, ping: (learner: LearnerLink) => void): void {
    if (this.#needed === null || !learner.voting) return;
    ping(learner);
    this.#needed.set(learner, learner.pingsSent);
  }

  /** A ping was answered or a txn committed: what may go, goes. */
  advance(committed: number): void {
    const needed = this.#needed;
    if (needed !== null && this.#quorum.isQuorum((sid) => this.#answered(sid, needed))) {
      this.#needed = null;
      this.#confirmed.push(...this.#running);
      this.#running = [];
      if (this.#next.length > 0) this.#start(committed);
    }
    let count = 0;
    while (count < this.#confirmed.length && (this.#confirmed[count] as WaitingSync).zxid <= committed) {
      count++;
    }
    if (count > 0) { for (const sync of this.#confirmed.splice(0, count)) sync.release(); }
  }

  /**
   * A txn commits now. Proposed after a sync came, it says as much as a round: a quorum followed us then.
   * So whoever asked for it behind that sync is answered behind it.
   */
  confirm(zxid: number): void {
    for (const list of [this.#confirmed, this.#running, this.#next]) {
      let count = 0;
      while (count < list.length && (list[count] as WaitingSync).zxid < zxid) count++;
      for (const sync of list.splice(0, count)) sync.release();
    }
  }

  #answered(sid: number, needed: Map<LearnerLink, number>): boolean {
    if (sid === this.#sid) return true;
    for (const [learner, pings] of needed) {
      if (learner.sid === sid && learner.voting && learner.pingsAnswered >= pings) return true;
    }
    return false;
  }
}
