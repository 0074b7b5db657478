/**
 * History: all that was ever committed, in the order of the ensemble.
 *
 * Whoever applies a txn first puts it here, and at that moment a quorum must have it on disk. Who
 * applies later must apply the same bytes, behind the same txn, and get the same digest. That is
 * PrefixConsistency, Agreement, TotalOrder and both primary orders of quorum-protocol 11 at once,
 * because zxids go up, without gaps within an epoch.
 */
import { counterOf, epochOf, type Zxid } from "../../../src/core/base/zxid.ts";
import type { Peer } from "../../../src/core/peer/peer.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import type { Writer } from "../../../src/core/wire/writer.ts";
import { hex, hold } from "../violation.ts";
import type { World } from "../world.ts";
import { Model } from "./model.ts";

export interface CommittedTxn {
  readonly zxid: number;
  readonly bytes: Uint8Array;
  /** Of the whole tree afterwards; null where it is not known. */
  readonly digest: bigint | null;
}

export class History {
  readonly #world: World;
  readonly #zxidStart: number;
  readonly #txns: CommittedTxn[] = [];
  readonly model = new Model();

  constructor(world: World) {
    this.#world = world;
    const { epochStart, counterStart } = world.plan;
    this.#zxidStart = epochStart * 0x1_0000_0000 + counterStart;
  }

  get last(): number {
    return this.#txns.at(-1)?.zxid ?? this.#zxidStart;
  }

  get count(): number {
    return this.#txns.length;
  }

  /** How many were committed up to this zxid. */
  countUpTo(zxid: number): number {
    let low = 0;
    let high = this.#txns.length;
    if (this.last <= zxid) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#txns[middle] as CommittedTxn).zxid <= zxid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  at(zxid: number): CommittedTxn | null {
    const txn = this.#txns[this.countUpTo(zxid) - 1];
    return txn === undefined || txn.zxid !== zxid ? null : txn;
  }

  isCommitted(zxid: number, bytes: Uint8Array): boolean {
    const txn = this.at(zxid);
    return txn !== null && isSame(txn.bytes, bytes);
  }

  /** Sees every txn that this peer applies, from its birth on. */
  watch(sid: number, peer: Peer): void {
    const { applier, tree } = peer;
    const apply = applier.apply.bind(applier);
    applier.apply = (
      bytes: Uint8Array,
      start: number,
      end: number,
      type: number,
      zxid: number,
      reply: Writer | null,
    ): number => {
      const before = applier.zxid;
      const code = apply(bytes, start, end, type, zxid, reply);
      // The rest of a closed session goes after its txn, so its digest is compared one txn later.
      const digest = !tree.digestEnabled || type === OpCode.CloseSession ? null : tree.digest.value;
      this.#applied(sid, before, zxid, bytes.subarray(start, end), digest);
      return code;
    };
  }

  #applied(sid: number, before: number, zxid: number, bytes: Uint8Array, digest: bigint | null): void {
    const index = this.countUpTo(before);
    const known = this.#txns[index];
    if (known === undefined) return this.#committed(sid, before, zxid, bytes, digest);
    hold(
      known.zxid === zxid,
      "equal histories",
      () => `${sid} applies ${hex(zxid)} behind ${hex(before)}, where others have ${hex(known.zxid)}`,
    );
    hold(
      isSame(known.bytes, bytes),
      "equal histories",
      () => `${sid} applies another ${hex(zxid)} than others`,
    );
  }

  /**
   * Asked of who serves, after each turn. Not after each txn: a tree that came while it changed is
   * right only when all that it came with has been applied.
   */
  checkDigest(sid: number, zxid: number, digest: bigint): void {
    const known = this.at(zxid)?.digest ?? null;
    hold(
      known === null || known === digest,
      "equal digests",
      () => `${sid} has digest ${digest} at ${hex(zxid)}, others have ${known}`,
    );
  }

  /** These leave a disk: what of it is committed must be on a quorum of the others. */
  lost(sid: number, txns: readonly { readonly zxid: number; readonly bytes: Uint8Array }[]): void {
    for (const { zxid, bytes } of txns) {
      const txn = bytes.subarray(4);
      if (this.isCommitted(zxid, txn)) this.#checkHolders(zxid, txn, () => `${sid} throws ${hex(zxid)} away`);
    }
  }

  #checkHolders(zxid: number, bytes: Uint8Array, what: () => string): void {
    if (!this.#world.isStrict) return;
    const { voters } = this.#world.plan;
    const holders = voters.filter((voter) => this.#world.member(voter).disk.has(zxid, bytes));
    hold(
      this.#world.quorumTrue.isQuorum((sid) => holders.includes(sid)),
      "a quorum has what is committed",
      () => `${what()}, on disk at [${holders.join(", ")}] of ${voters.length}`,
    );
  }

  /** Nobody applied it before. */
  #committed(sid: number, before: number, zxid: number, bytes: Uint8Array, digest: bigint | null): void {
    const { last } = this;
    hold(
      before >= last,
      "committed txns are never lost",
      () => `${sid} stands at ${hex(before)}, not ${hex(last)}`,
    );
    const follows = epochOf(zxid as Zxid) === epochOf(last as Zxid)
      ? zxid === last + 1
      : zxid > last && counterOf(zxid as Zxid) === 1;
    hold(follows, "history without gaps", () => `${sid} commits ${hex(zxid)} behind ${hex(last)}`);
    this.#checkHolders(zxid, bytes, () => `${sid} applies ${hex(zxid)}`);
    this.#txns.push({ zxid, bytes: bytes.slice(), digest });
    this.model.commit(zxid, bytes);
    this.#world.coverage.count("txns committed");
    this.#world.trace(() => `${sid} is the first to apply ${hex(zxid)}: ${this.model.told}`);
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
