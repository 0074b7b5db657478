/** Requests of the model as bytes, and frames of a peer as the objects that the model makes. */
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import {
  readAclReply,
  readChildren2Reply,
  readConnectReply,
  readCountReply,
  readCreate2Reply,
  readDataReply,
  readMultiReply,
  readNamesReply,
  readPathReply,
  readReplyHeader,
  readStatReply,
  readWhoAmIReply,
} from "../../../src/core/wire/replies.ts";
import {
  type MultiOp,
  writeAuthRequest,
  writeCreateRequest,
  writeCreateTtlRequest,
  writeDeleteRequest,
  writeMultiRequest,
  writePathRequest,
  writeSetAclRequest,
  writeSetDataRequest,
  writeWatchableRequest,
  writeWatchTypeRequest,
} from "../../../src/core/wire/requests.ts";
import type { Writer } from "../../../src/core/wire/writer.ts";
import { bytesOfHex, hexOf } from "../../../src/core/base/bytes.ts";
import type { Frame, ModelAcl, Request, Write } from "./model.ts";

const opOfWrite = {
  create: OpCode.Create,
  create2: OpCode.Create2,
  createContainer: OpCode.CreateContainer,
  createTtl: OpCode.CreateTtl,
  delete: OpCode.Delete,
  setData: OpCode.SetData,
  setAcl: OpCode.SetAcl,
  check: OpCode.Check,
} as const;

const opOfRead = {
  exists: OpCode.Exists,
  getData: OpCode.GetData,
  getChildren: OpCode.GetChildren,
  getChildren2: OpCode.GetChildren2,
  getAcl: OpCode.GetAcl,
  getAllChildrenNumber: OpCode.GetAllChildrenNumber,
  getEphemerals: OpCode.GetEphemerals,
  sync: OpCode.Sync,
  ping: OpCode.Ping,
  whoAmI: OpCode.WhoAmI,
} as const;

export function opOf(request: Request): number {
  switch (request.kind) {
    case "write":
      return opOfWrite[request.name];
    case "read":
      return opOfRead[request.name];
    case "multi":
      return OpCode.Multi;
    case "multiRead":
      return OpCode.MultiRead;
    case "addWatch":
      return OpCode.AddWatch;
    case "removeWatches":
      return OpCode.RemoveWatches;
    case "checkWatches":
      return OpCode.CheckWatches;
    case "auth":
      return OpCode.Auth;
    case "close":
      return OpCode.CloseSession;
  }
}

function aclsOf(acls: readonly ModelAcl[]) {
  return acls.map(({ perms, scheme, id }) => ({ perms, id: { scheme, id } }));
}

function dataOf(hex: string | null): Uint8Array | null {
  return hex === null ? null : bytesOfHex(hex);
}

function partOf(write: Write): MultiOp {
  const { path, version } = write;
  if (write.name === "delete") return { kind: "delete", path, version };
  if (write.name === "check") return { kind: "check", path, version };
  if (write.name === "setData") return { kind: "setData", path, data: dataOf(write.data), version };
  const { flags, ttlMs } = write;
  return {
    kind: "create",
    op: opOfWrite[write.name],
    path,
    data: dataOf(write.data),
    acls: aclsOf(write.acls),
    flags,
    ttlMs,
  };
}

export function writeBody(w: Writer, request: Request): void {
  switch (request.kind) {
    case "write": {
      const { path, data, acls, flags, ttlMs, version } = request;
      switch (request.name) {
        case "create":
        case "create2":
        case "createContainer":
          return writeCreateRequest(w, path, dataOf(data), aclsOf(acls), flags);
        case "createTtl":
          return writeCreateTtlRequest(w, path, dataOf(data), aclsOf(acls), flags, ttlMs);
        case "delete":
        case "check":
          return writeDeleteRequest(w, path, version);
        case "setData":
          return writeSetDataRequest(w, path, dataOf(data), version);
        case "setAcl":
          return writeSetAclRequest(w, path, aclsOf(acls), version);
      }
      return;
    }
    case "multi":
      return writeMultiRequest(w, request.parts.map(partOf));
    case "multiRead":
      return writeMultiRequest(w, request.parts.map(({ name, path }) => ({ kind: name, path })));
    case "read":
      if (request.name === "ping" || request.name === "whoAmI") return;
      if (["exists", "getData", "getChildren", "getChildren2"].includes(request.name)) {
        return writeWatchableRequest(w, request.path, request.watch);
      }
      return writePathRequest(w, request.path);
    case "addWatch":
      return writeWatchTypeRequest(w, request.path, request.mode);
    case "removeWatches":
    case "checkWatches":
      return writeWatchTypeRequest(w, request.path, request.type);
    case "auth":
      return writeAuthRequest(w, "digest", new TextEncoder().encode(request.text));
    case "close":
      return;
  }
}

/** `first`: this is the answer to a ConnectRequest. */
export function decode(
  bytes: Uint8Array,
  first: boolean,
  requestOf: (xid: number) => Request | undefined,
): Frame {
  const r = new Reader(bytes);
  if (first) {
    const { timeoutMs, sessionId } = readConnectReply(r);
    return { connected: true, timeoutMs, session: sessionId };
  }
  const { xid, zxid, err } = readReplyHeader(r);
  if (xid === -1) {
    const event = r.i32();
    r.i32();
    return { event, zxid, path: r.string() };
  }
  const body = err === 0
    ? decodeBody(r, xid === -2 ? { kind: "read", name: "ping", path: "", watch: false } : requestOf(xid))
    : {};
  if (r.failed || r.left > 0) throw new Error(`Reply ${hexOf(bytes)} is not as its request asks`);
  return { xid, zxid, err, ...body };
}

function decodeBody(r: Reader, request: Request | undefined): Frame {
  if (request === undefined) throw new Error("A reply to a request that was never sent");
  switch (request.kind) {
    case "write":
      return decodeWrite(r, request.name);
    case "multi":
    case "multiRead":
      return {
        results: readMultiReply(r).map((result) => {
          switch (result.kind) {
            case "created":
              return result.stat === null
                ? { part: "create", path: result.path }
                : { part: "create2", path: result.path, stat: result.stat };
            case "deleted":
              return { part: "delete" };
            case "dataSet":
              return { part: "setData", stat: result.stat };
            case "checked":
              return { part: "check" };
            case "data":
              return {
                part: "getData",
                data: result.data === null ? null : hexOf(result.data),
                stat: result.stat,
              };
            case "children":
              return { part: "getChildren", names: [...result.children].sort() };
            case "error":
              return { part: "error", code: result.code };
          }
        }),
      };
    case "read":
      return decodeRead(r, request.name);
    case "addWatch":
      return { count: readCountReply(r) };
    default:
      return {};
  }
}

function decodeWrite(r: Reader, name: string): Frame {
  switch (name) {
    case "create":
      return { path: readPathReply(r) };
    case "create2":
    case "createContainer":
    case "createTtl":
      return { ...readCreate2Reply(r) };
    case "setData":
    case "setAcl":
      return { stat: readStatReply(r) };
    default:
      return {};
  }
}

function decodeRead(r: Reader, name: string): Frame {
  switch (name) {
    case "exists":
      return { stat: readStatReply(r) };
    case "getData": {
      const { data, stat } = readDataReply(r);
      return { data: data === null ? null : hexOf(data), stat };
    }
    case "getChildren":
    case "getEphemerals":
      return { names: readNamesReply(r).sort() };
    case "getChildren2": {
      const { children, stat } = readChildren2Reply(r);
      return { names: children.sort(), stat };
    }
    case "getAcl": {
      const { acls, stat } = readAclReply(r);
      return { acls: acls.map(({ perms, id }) => ({ perms, scheme: id.scheme, id: id.id })), stat };
    }
    case "getAllChildrenNumber":
      return { count: readCountReply(r) };
    case "sync":
      return { path: readPathReply(r) };
    case "whoAmI":
      return { ids: readWhoAmIReply(r).map(({ scheme, user }) => [scheme, user]) };
    default:
      return {};
  }
}
