/**
 * Table of the ops that change something: which `prepare` judges which.
 */
import type { Session } from "../session/table.ts";
import { ErrorCode } from "../wire/errors.ts";
import { OpCode } from "../wire/opcodes.ts";
import { prepareCheck, prepareSetAcl, prepareSetData } from "./change.ts";
import { prepareCreate } from "./create.ts";
import { prepareDelete, prepareDeleteContainer } from "./delete.ts";
import type { Judge } from "./judge.ts";
import { prepareMulti } from "./multi.ts";
import { prepareCloseSession, prepareCreateSession } from "./session_txns.ts";

/** Judges the request in `judge.reader`; 0 where its txn stands in `judge.txn`, else the refusal. */
export function prepare(op: number, judge: Judge, session: Session | null): number {
  switch (op) {
    case OpCode.SetData:
      return prepareSetData(judge);
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return prepareCreate(judge, op);
    case OpCode.Delete:
      return prepareDelete(judge);
    case OpCode.SetAcl:
      return prepareSetAcl(judge);
    case OpCode.Check:
      return prepareCheck(judge);
    case OpCode.Multi:
      return prepareMulti(judge);
    case OpCode.DeleteContainer:
      return prepareDeleteContainer(judge);
    case OpCode.CreateSession:
      return prepareCreateSession(judge, judge.reader.i32());
    case OpCode.CloseSession:
      return session === null ? ErrorCode.SessionExpired : prepareCloseSession(judge, session);
    case OpCode.Reconfig:
      return ErrorCode.ReconfigDisabled;
    default:
      return ErrorCode.Unimplemented;
  }
}
