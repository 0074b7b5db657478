/**
 * Register check: is there one order of all writes and synced reads of a znode that explains every
 * answer and that nobody could tell from the real one?
 *
 * In general that is a search. Here the server numbers the writes itself: a write that was answered
 * with version 7 stands at position 7, and a synced read that saw version 7 stands behind it. So the
 * order is given, and what is left to ask is whether it agrees with real time: no operation may stand
 * before another one that had ended before it began. Writes whose outcome nobody knows may have
 * happened at any time after they began, or never, but not twice; each version that nobody was told
 * of has to be explained by one of them.
 *
 * A read without a sync may be old, but it must have been true once: its value is held against the
 * write of that version, and it may not come before that write began.
 *
 * `wing_gong.ts` answers the same question by trying all orders; the tests hold the two together.
 */

export interface RegisterOp {
  readonly client: string;
  readonly kind: "write" | "read" | "peek";
  /** Written, or read. Each write's is its own. */
  readonly value: string;
  /** For a conditional write the version it asked for; null: any. */
  readonly expected: number | null;
  /** Stamps of one counter for the whole run: when it was sent and when the answer came. */
  readonly called: number;
  readonly returned: number;
  /** `refused`: a conditional write that met another version. */
  readonly outcome: "ok" | "refused" | "unknown";
  /** The version written or read; -1 when nobody told. */
  readonly version: number;
  readonly mzxid: bigint;
}

/** The znode as it was before the first operation. */
export const firstValue = "0";

/** What is wrong, in sentences, with the operations that show it; empty when nothing is. */
export interface Finding {
  readonly sentence: string;
  readonly ops: readonly RegisterOp[];
}

export function checkRegister(ops: readonly RegisterOp[]): Finding[] {
  const findings: Finding[] = [];
  const writes = placeWrites(ops, findings);
  checkReads(ops, writes, findings);
  checkZxids(writes, findings);
  if (findings.length === 0) checkGaps(ops, writes, findings);
  if (findings.length === 0) checkTime(ops, writes, findings);
  return findings;
}

/** Version to the write that made it, as far as anybody was told. */
type Writes = Map<number, RegisterOp>;

function placeWrites(ops: readonly RegisterOp[], findings: Finding[]): Writes {
  const writes: Writes = new Map();
  const place = (version: number, op: RegisterOp, witness: RegisterOp) => {
    const there = writes.get(version);
    if (version < 1) {
      findings.push({ sentence: `a write made version ${version}`, ops: [op, witness] });
    } else if (there !== undefined && there !== op) {
      findings.push({ sentence: `two writes at version ${version}`, ops: [there, op, witness] });
    } else if (op.expected !== null && op.expected + 1 !== version) {
      findings.push({ sentence: `a write on version ${op.expected} made version ${version}`, ops: [op] });
    } else {
      writes.set(version, op);
    }
  };
  const unknown = new Map<string, RegisterOp>();
  for (const op of ops) {
    if (op.kind === "write" && op.outcome === "ok") place(op.version, op, op);
    if (op.kind === "write" && op.outcome === "unknown") unknown.set(op.value, op);
  }
  // A read that saw what an unanswered write wrote says when that happened; a second place for it
  // means that it happened twice.
  const seen = new Map<string, number>();
  for (const op of ops) {
    if (op.kind === "write" || op.outcome !== "ok") continue;
    const writer = unknown.get(op.value);
    if (writer === undefined) continue;
    const before = seen.get(op.value);
    if (before === undefined) {
      seen.set(op.value, op.version);
      place(op.version, writer, op);
    } else if (before !== op.version) {
      findings.push({ sentence: `one write at versions ${before} and ${op.version}`, ops: [writer, op] });
    }
  }
  return writes;
}

function checkReads(ops: readonly RegisterOp[], writes: Writes, findings: Finding[]): void {
  for (const op of ops) {
    if (op.kind === "write" || op.outcome !== "ok") continue;
    const write = writes.get(op.version);
    const value = op.version === 0 ? firstValue : write?.value;
    if (value === op.value) {
      if (write !== undefined && write.outcome === "ok" && write.mzxid !== op.mzxid) {
        findings.push({ sentence: `version ${op.version} has two zxids`, ops: [write, op] });
      }
      continue;
    }
    findings.push({
      sentence: value === undefined
        ? `a read of a value that nobody wrote there`
        : `a read of version ${op.version} with a value that is not its own`,
      ops: write === undefined ? [op] : [write, op],
    });
  }
}

function checkZxids(writes: Writes, findings: Finding[]): void {
  let before: RegisterOp | null = null;
  for (const version of [...writes.keys()].sort((a, b) => a - b)) {
    const write = writes.get(version) as RegisterOp;
    if (write.outcome !== "ok") continue;
    if (before !== null && write.mzxid <= before.mzxid) {
      findings.push({ sentence: `zxids do not grow with versions`, ops: [before, write] });
    }
    before = write;
  }
}

/** For each version that anybody saw, the stamp by which it or a later one had been seen first. */
function seenBy(ops: readonly RegisterOp[], last: number): number[] {
  const deadlines = new Array<number>(last + 2).fill(Infinity);
  for (const op of ops) {
    if (op.outcome !== "ok" || op.version > last) continue;
    deadlines[op.version] = Math.min(deadlines[op.version] as number, op.returned);
  }
  for (let version = last; version >= 0; version--) {
    deadlines[version] = Math.min(deadlines[version] as number, deadlines[version + 1] as number);
  }
  return deadlines;
}

/** Versions that nobody was told of need a write each whose outcome nobody knows. */
function checkGaps(ops: readonly RegisterOp[], writes: Writes, findings: Finding[]): void {
  const last = Math.max(0, ...[...writes.keys()]);
  const deadlines = seenBy(ops, last);
  const placed = new Set(writes.values());
  const free = ops.filter((op) => op.kind === "write" && op.outcome === "unknown" && !placed.has(op));
  const conditional = new Map<number, RegisterOp[]>();
  for (const op of free) {
    if (op.expected === null) continue;
    const list = conditional.get(op.expected + 1) ?? [];
    list.push(op);
    conditional.set(op.expected + 1, list);
  }
  // Deadlines grow with versions, so whoever began earliest goes first and no choice is ever regretted.
  const anywhere = free.filter((op) => op.expected === null).sort((a, b) => a.called - b.called);
  let used = 0;
  for (let version = 1; version <= last; version++) {
    if (writes.has(version)) continue;
    const deadline = deadlines[version] as number;
    if ((conditional.get(version) ?? []).some((op) => op.called < deadline)) continue;
    const candidate = anywhere[used];
    if (candidate !== undefined && candidate.called < deadline) {
      used++;
      continue;
    }
    const neighbours = [writes.get(version - 1), writes.get(version + 1)].filter((op) => op !== undefined);
    findings.push({
      sentence: `version ${version} was written by nobody, or by a write that began too late`,
      ops: neighbours,
    });
    return;
  }
}

/** What had ended before an operation began has to stand before it. */
function checkTime(ops: readonly RegisterOp[], writes: Writes, findings: Finding[]): void {
  const versionOf = new Map<RegisterOp, number>();
  for (const [version, op] of writes) versionOf.set(op, version);
  const begun = ops.filter((op) => op.kind === "read" && op.outcome === "ok" || versionOf.has(op));
  begun.sort((a, b) => a.called - b.called);
  // A peek that saw a version proves that it was written by then, as any answer does.
  const ended = ops.filter((op) => op.outcome === "ok").sort((a, b) => a.returned - b.returned);
  let highest: RegisterOp | null = null;
  let highestVersion = -1;
  let at = 0;
  for (const op of begun) {
    for (; at < ended.length && (ended[at] as RegisterOp).returned < op.called; at++) {
      const candidate = ended[at] as RegisterOp;
      if (candidate.version > highestVersion) {
        highest = candidate;
        highestVersion = candidate.version;
      }
    }
    if (highest === null) continue;
    const version = versionOf.get(op) ?? op.version;
    const tooOld = op.kind === "write" ? version <= highestVersion : version < highestVersion;
    if (!tooOld) continue;
    findings.push({
      sentence: op.kind === "write"
        ? `a write got version ${version} though ${highestVersion} had been seen before it began`
        : `a synced read saw version ${version} though ${highestVersion} had been seen before it began`,
      ops: [highest, op],
    });
    if (findings.length >= 5) return;
  }
  checkRefusals(ops, writes, findings);
}

/**
 * A conditional write is refused because the znode had another version at some time while it ran: when
 * the expected one had been seen before, a later one has to have been asked for by then. One thing passes here that should
 * not: a refusal whose only explanation is a write that a gap needs too.
 */
function checkRefusals(ops: readonly RegisterOp[], writes: Writes, findings: Finding[]): void {
  const begun = begunBy(ops, writes);
  for (const op of ops) {
    const { expected } = op;
    if (op.outcome !== "refused" || expected === null) continue;
    const isReached = expected <= 0 ||
      ops.some((other) => other.outcome === "ok" && other.version >= expected && other.returned < op.called);
    if (!isReached) continue;
    const next = writes.get(expected + 1);
    const couldBeNext = next !== undefined ? next.called < op.returned : mayHaveHappened(ops, op);
    // Whatever still saw the expected version stands before the next one.
    if (couldBeNext && (begun[Math.min(expected, begun.length - 1)] ?? 0) < op.returned) continue;
    findings.push({
      sentence: `a write on version ${expected} was refused before anybody wrote version ${expected + 1}`,
      ops: next === undefined ? [op] : [op, next],
    });
    if (findings.length >= 5) return;
  }
}

/** For each version the latest begin of what stands at it or before it. */
function begunBy(ops: readonly RegisterOp[], writes: Writes): number[] {
  const begun = new Array<number>(Math.max(0, ...writes.keys()) + 1).fill(0);
  const note = (version: number, op: RegisterOp) => {
    begun[version] = Math.max(begun[version] ?? 0, op.called);
  };
  for (const [version, op] of writes) note(version, op);
  for (const op of ops) if (op.kind === "read" && op.outcome === "ok") note(op.version, op);
  for (let version = 1; version < begun.length; version++) {
    begun[version] = Math.max(begun[version] as number, begun[version - 1] as number);
  }
  return begun;
}

function mayHaveHappened(ops: readonly RegisterOp[], refused: RegisterOp): boolean {
  return ops.some((op) =>
    op.kind === "write" && op.outcome === "unknown" && op.called < refused.returned &&
    (op.expected === null || op.expected === refused.expected)
  );
}
