/**
 * Loader: a peer's memory filled from what the disk holds.
 *
 * Rows of the tree table come first, parents before children, then the log behind them. The layout
 * of a row is told in storage/storage.ts.
 */
import { assert, fail } from "../base/assert.ts";
import { sessionIdOf, type Zxid } from "../base/zxid.ts";
import type { Applier } from "../ops/applier.ts";
import { OpCode } from "../wire/opcodes.ts";
import { Reader } from "../wire/reader.ts";
import { txnHeaderAt } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import type { SessionTable } from "../session/table.ts";
import type { Tree } from "../tree/tree.ts";

export class Loader {
  readonly #tree: Tree;
  readonly #sessions: SessionTable;
  readonly #applier: Applier;
  readonly #reader = new Reader();
  rowsLoaded = 0;
  txnsReplayed = 0;
  zxidTree: Zxid = 0 as Zxid;
  /** Txns of the log that are not known to be committed, `repeated i32 length, txn`: they are not applied. */
  readonly tail = new Writer();
  readonly #keepsTail: boolean;
  #committed = 0;
  readonly #clear: () => void;

  /** Who stands alone has committed all that its log holds: then there is no tail. */
  constructor(
    tree: Tree,
    sessions: SessionTable,
    applier: Applier,
    keepsTail: boolean,
    clear: () => void = () => {},
  ) {
    this.#tree = tree;
    this.#sessions = sessions;
    this.#applier = applier;
    this.#keepsTail = keepsTail;
    this.#clear = clear;
  }

  rows(bytes: Uint8Array): void {
    const r = this.#reader;
    r.reset(bytes, 0, bytes.length);
    while (r.left > 0) {
      const pathLength = r.span();
      const pathEnd = r.at;
      const dataLength = r.span();
      const dataEnd = r.at;
      const czxid = r.i64AsNumber();
      const mzxid = r.i64AsNumber();
      const ctime = r.i64AsNumber();
      const mtime = r.i64AsNumber();
      const version = r.i32();
      const cversion = r.i32();
      const aversion = r.i32();
      const ownerHi = r.i32();
      const ownerLo = r.i32();
      const pzxid = r.i64AsNumber();
      const aclsLength = r.span();
      assert(!r.failed && pathLength >= 0, "a row of the tree table is whole");
      const acls = aclsLength <= 4 ? null : r.bytes.subarray(r.at - aclsLength, r.at);
      const loaded = this.#tree.load(
        bytes,
        pathEnd - pathLength,
        pathEnd,
        dataLength < 0 ? -1 : dataEnd - dataLength,
        dataEnd,
        czxid,
        mzxid,
        pzxid,
        ctime,
        mtime,
        version,
        cversion,
        aversion,
        ownerHi,
        ownerLo,
        acls,
      );
      if (!loaded) fail(`row ${this.rowsLoaded + 1} of the tree table has its parent before it`);
      this.rowsLoaded++;
    }
  }

  session(hi: number, lo: number, timeoutMs: number): void {
    this.#sessions.open(sessionIdOf(hi, lo), timeoutMs);
  }

  /** What was told so far is void. */
  again(): void {
    this.#clear();
    this.tail.clear();
    this.rowsLoaded = this.txnsReplayed = this.#committed = 0;
    this.zxidTree = 0 as Zxid;
  }

  treeComplete(
    zxid: Zxid,
    committed: Zxid = zxid,
    digest: { readonly hi: number; readonly lo: number } | null = null,
  ): void {
    this.zxidTree = zxid;
    this.#committed = committed;
    // A memory that never held anything has no rows to give.
    if (this.#tree.findText("/zookeeper") === 0) this.#tree.makeReserved();
    this.#tree.endLoad();
    this.#applier.zxid = zxid;
    if (digest !== null) this.#applier.compareDigest(digest.hi, digest.lo);
  }

  batch(bytes: Uint8Array): void {
    const r = new Reader(bytes);
    while (r.left > 0) {
      const length = r.span();
      assert(!r.failed && length >= 32, "a batch of the log is whole");
      const start = r.at - length;
      const { zxid, type, sessionHi, sessionLo } = txnHeaderAt(bytes, start, r.at);
      if (zxid <= this.#applier.zxid) continue;
      if (this.#keepsTail && zxid > this.#committed) {
        this.tail.rawRange(bytes, start - 4, r.at);
        continue;
      }
      this.#applier.apply(bytes, start, r.at, type, zxid, null);
      if (type === OpCode.CloseSession) this.#applier.finishSessionClose(sessionHi, sessionLo, zxid);
      if (type !== OpCode.Error) this.#applier.checkDigest(bytes, r.at);
      this.txnsReplayed++;
    }
  }
}
