/**
 * Ops as parts of a multi, and creates in all their modes.
 */
import { ErrorCode } from "../core/wire/errors.ts";
import { CreateMode, OpCode } from "../core/wire/opcodes.ts";
import { aclOpen } from "../core/wire/records.ts";
import type { MultiResult } from "../core/wire/replies.ts";
import { type MultiOp, writeCreateRequest, writeCreateTtlRequest } from "../core/wire/requests.ts";
import type { Writer } from "../core/wire/writer.ts";
import type { CreateOptions } from "./types.ts";

export type CreateOp = Extract<MultiOp, { kind: "create" }>;

/** A create for a multi; the opcode follows from the mode. client-protocol 4.4. */
export function createOp(
  path: string,
  data: Uint8Array | null = null,
  options: CreateOptions = {},
): CreateOp {
  const { mode = CreateMode.Persistent, acls = aclOpen, ttlMs } = options;
  const op = mode === CreateMode.Container
    ? OpCode.CreateContainer
    : mode === CreateMode.PersistentTtl || mode === CreateMode.PersistentSequentialTtl
    ? OpCode.CreateTtl
    : OpCode.Create2;
  return { kind: "create", op, path, data, acls, flags: mode, ...(ttlMs === undefined ? {} : { ttlMs }) };
}

/** Which op made a multi fail, and with what code; null when it succeeded. */
export function multiErrorAt(
  results: readonly MultiResult[],
): { readonly index: number; readonly code: number } | null {
  for (const [index, result] of results.entries()) {
    if (result.kind === "error" && result.code !== 0 && result.code !== ErrorCode.RuntimeInconsistency) {
      return { index, code: result.code };
    }
  }
  return null;
}

export function writeCreate(writer: Writer, op: CreateOp): void {
  const { path, data, acls, flags } = op;
  if (op.op === OpCode.CreateTtl) {
    writeCreateTtlRequest(writer, path, data, acls, flags, op.ttlMs ?? -1);
  } else writeCreateRequest(writer, path, data, acls, flags);
}

/** Modes 2, 3 and 6 get a counter behind their name, so a name that is no path yet may become one. */
export function isSequential(mode: number): boolean {
  return mode === CreateMode.PersistentSequential || mode === CreateMode.EphemeralSequential ||
    mode === CreateMode.PersistentSequentialTtl;
}
