/**
 * Quotas: limits and statistics kept as znodes below /zookeeper/quota. server-semantics 7.
 *
 * The quota of /a/b is the text of /zookeeper/quota/a/b/zookeeper_limits; its use is written, without
 * a txn, into zookeeper_stats beside it. A server without quotas pays one comparison a change. What
 * proposals in flight will add counts as used already, so pipelining does not get past a hard limit.
 */
import { must } from "../base/assert.ts";
import { bytesEqualAt, bytesOf, textOf } from "../base/bytes.ts";
import { I, type Tree } from "./tree.ts";

const prefix = bytesOf("/zookeeper/quota/");
const zookeeperPrefix = bytesOf("/zookeeper/");
const limitsName = "zookeeper_limits";
const statsName = "zookeeper_stats";
const quotaRoot = "/zookeeper/quota";
const unmarked: string[] = [];

export interface QuotaLimits {
  readonly count: number;
  readonly bytes: number;
  readonly countHard: number;
  readonly bytesHard: number;
}

/** `count=5,bytes=100=;byteHardLimit=200;countHardLimit=10`; what is absent or unreadable is -1. */
export function parseQuota(text: string): QuotaLimits {
  const found = new Map<string, number>();
  for (const piece of text.split(/[,;]+/)) {
    const [key, value] = piece.split("=");
    const number = Number(value === "" ? Number.NaN : value);
    if (key !== undefined && Number.isFinite(number)) found.set(key, number);
  }
  return {
    count: found.get("count") ?? -1,
    bytes: found.get("bytes") ?? -1,
    countHard: found.get("countHardLimit") ?? -1,
    bytesHard: found.get("byteHardLimit") ?? -1,
  };
}

interface Use {
  count: number;
  bytes: number;
}

/** What is proposed for a path and not applied; proposals up to `zxidFrom` came before the mark. */
interface Mark extends Use {
  readonly zxidFrom: number;
}

export class Quotas {
  readonly #tree: Tree;
  readonly #enforce: boolean;
  /** Paths with limits or statistics, to what is proposed for them but not applied. */
  readonly #marked = new Map<string, Mark>();
  /** The last proposal, and the txn being applied. */
  zxidProposed = 0;
  zxidApplied = 0;
  /** No mark is longer. */
  #markLengthMax = 0;
  #undo: { use: Use; count: number; bytes: number }[] | null = null;

  constructor(tree: Tree, options: { enforce: boolean }) {
    this.#tree = tree;
    this.#enforce = options.enforce;
  }

  get paths(): IterableIterator<string> {
    return this.#marked.keys();
  }

  /** Every marked path at or above this one, the deepest first. An outer limit is one for the inner, too. */
  #marksOf(bytes: Uint8Array, start: number, end: number): string[] {
    if (this.#marked.size === 0 || bytesEqualAt(bytes, start, zookeeperPrefix)) return unmarked;
    const marks: string[] = [];
    const path = textOf(bytes, start, end);
    // No mark is longer than the longest, so a path ten thousand levels deep costs what a short one does.
    for (let cut = path.length; cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      if (cut > this.#markLengthMax) continue;
      const above = path.slice(0, cut);
      if (this.#marked.has(above)) marks.push(above);
    }
    return marks;
  }

  /** May a proposal add this much? Only asked where quotas are enforced. */
  admits(bytes: Uint8Array, start: number, end: number, count: number, size: number): boolean {
    if (!this.#enforce || this.#marked.size === 0) return true;
    return this.#marksOf(bytes, start, end).every((path) => this.#admitsAt(path, count, size));
  }

  #admitsAt(path: string, count: number, size: number): boolean {
    const limits = this.limitsOf(path);
    if (limits === null || this.#statsOf(path) === 0) return true;
    const used = this.#count(path);
    const proposed = this.#marked.get(path) ?? { count: 0, bytes: 0 };
    // Soft limits warn in the original and never refuse.
    if (count !== 0 && limits.countHard > -1 && used.count + proposed.count + count > limits.countHard) {
      return false;
    }
    return size === 0 || limits.bytesHard <= -1 || used.bytes + proposed.bytes + size <= limits.bytesHard;
  }

  propose(bytes: Uint8Array, start: number, end: number, count: number, size: number): void {
    if (this.#marked.size === 0) return;
    for (const path of this.#marksOf(bytes, start, end)) {
      const use = must(this.#marked.get(path), "a mark has its use");
      use.count += count;
      use.bytes += size;
      this.#undo?.push({ use, count, bytes: size });
    }
  }

  begin(): void {
    this.#undo = [];
  }

  keep(): void {
    this.#undo = null;
  }

  undo(): void {
    for (const { use, count, bytes } of this.#undo ?? []) {
      use.count -= count;
      use.bytes -= bytes;
    }
    this.#undo = null;
  }

  /** Nothing is in flight: forgets what was proposed. */
  settleAll(): void {
    for (const use of this.#marked.values()) use.count = use.bytes = 0;
  }

  /** A committed change under this path; keeps the statistics right. */
  applied(bytes: Uint8Array, start: number, end: number, count: number, size: number): void {
    if (this.#marked.size === 0) return;
    for (const path of this.#marksOf(bytes, start, end)) {
      const proposed = must(this.#marked.get(path), "a mark has its use");
      if (this.zxidApplied > proposed.zxidFrom) {
        proposed.count -= count;
        proposed.bytes -= size;
      }
      this.#tell(path);
    }
  }

  /** A znode below /zookeeper/quota was created or set: limits and statistics mark, and statistics are filled. */
  written(bytes: Uint8Array, start: number, end: number): void {
    if (!bytesEqualAt(bytes, start, prefix)) return;
    const path = textOf(bytes, start, end);
    const cut = path.lastIndexOf("/");
    const subject = path.slice(quotaRoot.length, cut);
    const name = path.slice(cut + 1);
    if (subject === "" || (name !== limitsName && name !== statsName)) return;
    const fresh: Mark = { count: 0, bytes: 0, zxidFrom: this.zxidProposed };
    this.#marked.set(subject, this.#marked.get(subject) ?? fresh);
    this.#markLengthMax = Math.max(this.#markLengthMax, subject.length);
    this.#tell(subject);
  }

  deleted(bytes: Uint8Array, start: number, end: number): void {
    if (this.#marked.size === 0 || !bytesEqualAt(bytes, start, prefix)) return;
    const path = textOf(bytes, start, end);
    const cut = path.lastIndexOf("/");
    const subject = path.slice(quotaRoot.length, cut);
    const name = path.slice(cut + 1);
    if (name !== limitsName && name !== statsName) return;
    const other = name === limitsName ? statsName : limitsName;
    if (this.#tree.findText(`${quotaRoot}${subject}/${other}`) !== 0 || !this.#marked.delete(subject)) return;
    this.#markLengthMax = 0;
    for (const mark of this.#marked.keys()) this.#markLengthMax = Math.max(this.#markLengthMax, mark.length);
  }

  /** After a load: finds every mark and counts every subject. */
  rebuild(): void {
    this.#marked.clear();
    const root = this.#tree.findText(quotaRoot);
    if (root === 0) return;
    const stack = [root];
    for (let row = stack.pop(); row !== undefined; row = stack.pop()) {
      for (
        let child = this.#tree.int(row, I.childFirst);
        child !== 0;
        child = this.#tree.int(child, I.siblingNext)
      ) {
        const path = bytesOf(this.#tree.pathOf(child));
        this.written(path, 0, path.length);
        stack.push(child);
      }
    }
  }

  limitsOf(path: string): QuotaLimits | null {
    const row = this.#tree.findText(`${quotaRoot}${path}/${limitsName}`);
    if (row === 0) return null;
    const data = this.#tree.dataOf(row);
    return parseQuota(data === null ? "" : textOf(data));
  }

  /** What the statistics say; null where there are none. */
  useOf(path: string): Use | null {
    const row = this.#statsOf(path);
    if (row === 0) return null;
    const data = this.#tree.dataOf(row);
    const { count, bytes } = parseQuota(data === null ? "" : textOf(data));
    return { count, bytes };
  }

  #statsOf(path: string): number {
    return this.#tree.findText(`${quotaRoot}${path}/${statsName}`);
  }

  /** The tree keeps these sums, so that nothing is walked. */
  #count(path: string): Use {
    const tree = this.#tree;
    const top = tree.findText(path);
    if (top === 0) return { count: 0, bytes: 0 };
    const own = Math.max(0, tree.int(top, I.dataLength));
    return { count: 1 + tree.descendants(top), bytes: own + tree.bytesBelow(top) };
  }

  /** Counted, not added up: what is added to a wrong figure is wrong for ever. */
  #tell(path: string): void {
    const row = this.#statsOf(path);
    if (row === 0) return;
    const { count, bytes } = this.#count(path);
    this.#tree.setDataQuietly(row, bytesOf(`count=${count},bytes=${bytes}`));
  }
}
