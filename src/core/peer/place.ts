/**
 * Place: where a peer stands at this moment, for the rooms that do different things in different parts.
 * The peer itself is the one who knows; nobody keeps what is read here for longer than a step.
 */
import type { EnsembleOptions } from "../zab/ensemble.ts";
import type { Leader } from "../zab/leader.ts";
import type { Learner } from "../zab/learner.ts";
import type { Ledger } from "../zab/ledger.ts";
import type { ObserverMaster } from "../zab/observer_master.ts";

export interface Place {
  /** Null stands alone. */
  readonly member: EnsembleOptions | null;
  readonly leader: Leader | null;
  readonly learner: Learner | null;
  /** While we follow, where observers may hang on followers. */
  readonly master: ObserverMaster | null;
  readonly ledger: Ledger;
  /** Txns are made here: we stand alone, or lead with a quorum behind us. */
  readonly proposes: boolean;
  /** Clients may have sessions now. */
  readonly serving: boolean;
  /** A leader is being elected, and may be there in a moment. */
  readonly electing: boolean;
  /** What a client has seen up to here is not ahead of us. */
  readonly zxidSeenMax: number;
  /** The time of the step that runs. */
  readonly wallMs: number;
  readonly monoMs: number;
  /** Our part ends now. */
  leave(reason: string): void;
}
