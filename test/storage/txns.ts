/**
 * Txns for the tests of storage: real bytes, made with the product's own writer.
 */
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { aclOpen, writeAcls } from "../../src/core/wire/records.ts";
import type { Acl } from "../../src/core/wire/records.ts";
import { containerOwnerHi, writeTxnHeader } from "../../src/core/wire/txns.ts";
import { Writer } from "../../src/core/wire/writer.ts";

export type Op =
  | {
    readonly kind: "create";
    readonly path: string;
    readonly data: Uint8Array | null;
    readonly acl?: readonly Acl[];
    readonly ephemeral?: boolean;
    readonly container?: boolean;
    readonly parentCversion?: number;
  }
  | { readonly kind: "delete"; readonly path: string }
  | {
    readonly kind: "setData";
    readonly path: string;
    readonly data: Uint8Array | null;
    readonly version: number;
  }
  | { readonly kind: "setAcl"; readonly path: string; readonly acl: readonly Acl[]; readonly version: number }
  | { readonly kind: "createSession"; readonly timeoutMs: number }
  | { readonly kind: "closeSession"; readonly paths: readonly string[] | null }
  | { readonly kind: "error"; readonly code: number }
  | { readonly kind: "multi"; readonly ops: readonly Op[]; readonly failed?: boolean };

export interface TxnMeta {
  readonly zxid: number;
  readonly timeMs: number;
  readonly sessionHi?: number;
  readonly sessionLo?: number;
}

function typeOf(op: Op): number {
  switch (op.kind) {
    case "create":
      return op.container === true ? OpCode.CreateContainer : OpCode.Create;
    case "delete":
      return OpCode.Delete;
    case "setData":
      return OpCode.SetData;
    case "setAcl":
      return OpCode.SetAcl;
    case "createSession":
      return OpCode.CreateSession;
    case "closeSession":
      return OpCode.CloseSession;
    case "error":
      return OpCode.Error;
    case "multi":
      return OpCode.Multi;
  }
}

function writeBody(writer: Writer, op: Op): void {
  switch (op.kind) {
    case "create":
      writer.string(op.path);
      writer.buffer(op.data);
      writeAcls(writer, op.acl ?? aclOpen);
      if (op.container !== true) writer.bool(op.ephemeral ?? false);
      writer.i32(op.parentCversion ?? -1);
      return;
    case "delete":
      return writer.string(op.path);
    case "setData":
      writer.string(op.path);
      writer.buffer(op.data);
      return writer.i32(op.version);
    case "setAcl":
      writer.string(op.path);
      writeAcls(writer, op.acl);
      return writer.i32(op.version);
    case "createSession":
      return writer.i32(op.timeoutMs);
    case "closeSession":
      if (op.paths !== null) writer.strings(op.paths);
      return;
    case "error":
      return writer.i32(op.code);
    case "multi":
      writer.i32(op.ops.length);
      op.ops.forEach((part, i) => {
        const body = new Writer();
        const failed = op.failed === true && i === op.ops.length - 1;
        if (failed) body.i32(-101);
        else writeBody(body, part);
        writer.i32(failed ? OpCode.Error : typeOf(part));
        writer.buffer(body.view());
      });
  }
}

export const containerHi = containerOwnerHi;

/** One txn without its length. */
export function txnBytes(op: Op, meta: TxnMeta): Uint8Array<ArrayBuffer> {
  const writer = new Writer(256);
  writeTxnHeader(writer, meta.sessionHi ?? 0, meta.sessionLo ?? 0, 1, meta.zxid, meta.timeMs, typeOf(op));
  writeBody(writer, op);
  return writer.copy();
}

/** A batch as storage takes it. */
export function batchOf(txns: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(256);
  for (const txn of txns) writer.buffer(txn);
  return writer.copy();
}
