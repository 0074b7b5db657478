/**
 * Network: what lies between the peers of a run, and how it is broken.
 *
 * Two kinds: a network namespace per peer, where packets vanish, and on machines where that is not
 * permitted a proxy per pair on loopback, where bytes are held back. In both a broken direction is
 * silent: no end, no reset; and what was on its way arrives after the healing, as TCP would have it.
 *
 * Clients are never behind it: they reach every peer, on both sides of a partition.
 */
export interface PeerAddress {
  /** Where clients connect. */
  readonly host: string;
  readonly client: number;
  readonly quorum: number;
  readonly election: number;
}

export interface Slowness {
  /** For people. */
  readonly text: string;
}

export interface Network {
  readonly name: string;
  readonly peers: ReadonlyMap<number, PeerAddress>;
  /** The `server.N` lines as peer `sid` is told them. */
  memberLines(sid: number): readonly string[];
  /** Put in front of the command that starts peer `sid`. */
  wrapper(sid: number): readonly string[];
  /** Exactly these directions are broken from now on. */
  breakOnly(directions: readonly Direction[]): Promise<void>;
  /** Slows what these peers send; null where this machine cannot. */
  slow(sids: readonly number[], severity: number): Promise<Slowness | null>;
  unslow(): Promise<void>;
  close(): Promise<void>;
}

export interface Direction {
  readonly from: number;
  readonly to: number;
}

export function directionKey(from: number, to: number): string {
  return `${from}>${to}`;
}

/** All directions between two groups. */
export function between(left: readonly number[], right: readonly number[]): Direction[] {
  return left.flatMap((from) =>
    right.flatMap((to) => from === to ? [] : [{ from, to }, { from: to, to: from }])
  );
}
