/**
 * Member stats: what a member counts and times of its part in the ensemble, for operators alone.
 */
import { LatencyHistogram } from "../base/histogram.ts";
import type { SyncKind } from "../zab/learner_link.ts";

export class MemberStats {
  /** Decided here, and how long the last took. */
  elections = 0;
  electionMsLast = 0;
  /** From the last decision to serving, and how a learner got level then. */
  syncMsLast = 0;
  syncKindLast: SyncKind | null = null;
  /** Requests that went to the leader: of our own clients, and of our observers' clients. */
  forwarded = 0;
  /** Made here. */
  proposals = 0;
  /** -1 before the first. */
  proposalBytesLast = -1;
  proposalBytesMin = -1;
  proposalBytesMax = -1;
  /** Packets that a learner was sent. */
  proposalsReceived = 0;
  commitsReceived = 0;
  readonly electionTimes = new LatencyHistogram();
  readonly syncTimes = new LatencyHistogram();
  readonly unavailableTimes = new LatencyHistogram();
  readonly quorumTimes = new LatencyHistogram();
  /** When the part was last taken or left, and when clients began to be served. Monotonic ms. */
  phaseSinceMs = 0;
  servingSinceMs = 0;
  #lookedAtMs = 0;
  #decidedAtMs = 0;
  #unavailableSinceMs: number;

  constructor(bornMonoMs: number) {
    this.#unavailableSinceMs = bornMonoMs;
  }

  /** There is no part to play, from the start of an election at the latest. */
  left(monoMs: number, wasServing: boolean): void {
    if (wasServing) this.#unavailableSinceMs = monoMs;
    this.#lookedAtMs = this.phaseSinceMs = monoMs;
  }

  decided(monoMs: number): void {
    this.elections++;
    this.electionMsLast = monoMs - this.#lookedAtMs;
    this.electionTimes.record(this.electionMsLast);
    this.#decidedAtMs = this.phaseSinceMs = monoMs;
  }

  /** Clients are served. Returns for how long they were not, in ms. */
  serves(monoMs: number): number {
    const unavailableMs = monoMs - this.#unavailableSinceMs;
    this.syncMsLast = monoMs - this.#decidedAtMs;
    this.syncTimes.record(this.syncMsLast);
    this.unavailableTimes.record(unavailableMs);
    this.servingSinceMs = this.phaseSinceMs = monoMs;
    return unavailableMs;
  }

  proposed(bytes: number): void {
    this.proposals++;
    this.proposalBytesLast = bytes;
    if (bytes > this.proposalBytesMax) this.proposalBytesMax = bytes;
    if (bytes < this.proposalBytesMin || this.proposalBytesMin < 0) this.proposalBytesMin = bytes;
  }

  reset(): void {
    this.proposals = 0;
    this.proposalsReceived = 0;
    this.commitsReceived = 0;
    this.forwarded = 0;
    this.proposalBytesLast = this.proposalBytesMin = this.proposalBytesMax = -1;
    this.electionTimes.reset();
    this.syncTimes.reset();
    this.unavailableTimes.reset();
    this.quorumTimes.reset();
  }
}
