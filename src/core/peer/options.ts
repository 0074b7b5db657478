/**
 * Options: what a peer is told at birth and never again.
 */
import type { Lengths } from "../base/limits.ts";
import type { EnsembleOptions } from "../zab/ensemble.ts";
import type { JudgeOptions } from "../ops/judge.ts";
import type { ReaperOptions } from "./reaper.ts";

export interface PeerOptions {
  /** Low byte goes into session ids. */
  readonly serverId: number;
  readonly tickMs: number;
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  readonly digestEnabled: boolean;
  readonly judge: JudgeOptions;
  readonly lengths: Lengths;
  readonly reaper: ReaperOptions;
  /** Schemes of which a connection needs one before its first request; empty: none. */
  readonly enforceAuthSchemes: readonly string[];
  /** Watches that one connection, and all together, may have. */
  readonly watchesPerConnectionMax: number;
  readonly watchesMax: number;
  /** Requests in flight over all clients before reading pauses. */
  readonly outstandingMax: number;
  /** When this peer was born: ids of its sessions begin with it. */
  readonly bornWallMs: number;
  readonly bornMonoMs: number;
  /** Null stands alone. */
  readonly ensemble?: EnsembleOptions | null;
  /** 32 bits of chance: clients can't tell which names share a bucket. Nothing that is answered depends on it. */
  readonly hashSeed: number;
}
