/**
 * Multi: several changes as one txn, or none of them.
 *
 * The whole request is read once before anything is judged, so that a malformed tail refuses it as a
 * whole. Then each part is prepared on the overlay and sees the parts before it; the first refusal
 * undoes them all, and the txn then carries only error codes. server-semantics 3.10, client-protocol 6.
 */
import { ErrorCode } from "../wire/errors.ts";
import { CreateMode, OpCode } from "../wire/opcodes.ts";
import { readAcls } from "../wire/records.ts";
import type { Reader } from "../wire/reader.ts";
import { prepareCheck, prepareSetData } from "./change.ts";
import { prepareCreate } from "./create.ts";
import { prepareDelete } from "./delete.ts";
import type { Judge } from "./judge.ts";

export interface MultiPart {
  op: number;
  /** Where its record starts and ends in the request. */
  start: number;
  end: number;
}

/** The parts of a multi or multiRead, or null where the request is malformed or mixes both kinds. */
export function readMulti(r: Reader, kind: "write" | "read"): MultiPart[] | null {
  const parts: MultiPart[] = [];
  for (;;) {
    let op = r.i32();
    const done = r.bool();
    r.i32();
    if (r.failed) return null;
    if (done) return parts;
    const start = r.at;
    if (kind === "read" ? op !== OpCode.GetData && op !== OpCode.GetChildren : !isWritePart(op)) return null;
    const flags = skipPart(r, op);
    if (r.failed) return null;
    if (isCreate(op) && (flags < CreateMode.Persistent || flags > CreateMode.PersistentSequentialTtl)) {
      return null;
    }
    if (op === OpCode.Create || op === OpCode.Create2 || op === OpCode.CreateContainer) {
      if (flags === CreateMode.PersistentTtl || flags === CreateMode.PersistentSequentialTtl) return null;
      if (flags === CreateMode.Container) op = OpCode.CreateContainer;
    }
    parts.push({ op, start, end: r.at });
  }
}

function isCreate(op: number): boolean {
  return op === OpCode.Create || op === OpCode.Create2 || op === OpCode.CreateContainer ||
    op === OpCode.CreateTtl;
}

function isWritePart(op: number): boolean {
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
    case OpCode.Delete:
    case OpCode.SetData:
    case OpCode.Check:
      return true;
    default:
      return false;
  }
}

/** Reads over one part's record; returns the create flags where it has any. */
function skipPart(r: Reader, op: number): number {
  r.span();
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl: {
      r.span();
      readAcls(r);
      const flags = r.i32();
      if (op === OpCode.CreateTtl) r.i64AsNumber();
      return flags;
    }
    case OpCode.SetData:
      r.span();
      r.i32();
      return 0;
    case OpCode.Delete:
    case OpCode.Check:
      r.i32();
      return 0;
    default:
      r.bool();
      return 0;
  }
}

function preparePart(judge: Judge, op: number): number {
  switch (op) {
    case OpCode.Delete:
      return prepareDelete(judge);
    case OpCode.SetData:
      return prepareSetData(judge);
    case OpCode.Check:
      return prepareCheck(judge);
    default:
      return prepareCreate(judge, op);
  }
}

export function prepareMulti(judge: Judge): number {
  const { reader: r, txn, overlay } = judge;
  const { bytes } = r;
  const parts = readMulti(r, "write");
  if (parts === null) return ErrorCode.MarshallingError;
  txn.i32(parts.length);
  overlay.begin();
  judge.quotas.begin();
  prepareParts(judge, parts, bytes);
  // Its parts have had their own types meanwhile.
  judge.type = OpCode.Multi;
  return ErrorCode.Ok;
}

function prepareParts(judge: Judge, parts: readonly MultiPart[], bytes: Uint8Array): void {
  const { reader: r, txn, overlay } = judge;
  for (const [i, part] of parts.entries()) {
    const { start, end } = part;
    const isPlain = part.op === OpCode.Create2 && judge.options.multiCreatesPlain === true;
    const op = isPlain ? OpCode.Create : part.op;
    const at = txn.length;
    txn.i32(op);
    const lengthAt = txn.room(4);
    r.reset(bytes, start, end);
    const code = preparePart(judge, op);
    if (code === ErrorCode.Ok) {
      txn.i32At(lengthAt, txn.length - lengthAt - 4);
      continue;
    }
    overlay.undo();
    judge.quotas.undo();
    txn.length = at;
    writeErrorPart(judge, code);
    for (let rest = i + 1; rest < parts.length; rest++) writeErrorPart(judge, ErrorCode.RuntimeInconsistency);
    return;
  }
  overlay.keep();
  judge.quotas.keep();
}

function writeErrorPart(judge: Judge, code: number): void {
  judge.txn.i32(OpCode.Error);
  judge.txn.i32(4);
  judge.txn.i32(code);
}
