/**
 * Canonical: frames of one server as lines of text that must be equal on the other.
 *
 * What two servers cannot have in common is replaced: session ids by names in order of birth, times
 * by nothing, once they were checked (every mention of one zxid shows one time). What has no order
 * is sorted: children, ephemerals, identities. What differs on purpose is levelled here, each with
 * the row of src/DIVERGENCES.md that says so.
 */
import { hexOf } from "../../../src/core/base/bytes.ts";
import { OpCode, opName } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { type AclLoose, readAcls, readStat, type Stat } from "../../../src/core/wire/records.ts";
import { decodeConnectReply, decodeEvent, passwordOf } from "../../support/wire_session.ts";
import type { Request } from "./step.ts";

/** What was learned of one server: the generator aims with it, and times are compared between the two. */
export class Facts {
  readonly sessionNames = new Map<bigint, string>();
  /** Time of each txn that a Stat has mentioned. */
  readonly timeByZxid = new Map<number, number>();
  readonly versions = new Map<string, { version: number; aversion: number }>();
  readonly sequential: string[] = [];
  /** Paths that were there when last heard of. */
  readonly alive = new Set<string>();
  zxidLast = 0;
  /** Replies by operation and code, to see what a run has reached. */
  readonly outcomes = new Map<string, number>();

  sessionName(id: bigint): string {
    if (id === 0n) return "0";
    return this.sessionNames.get(id) ?? `unknown 0x${BigInt.asUintN(64, id).toString(16)}`;
  }

  timeSeen(zxid: number, ms: number): string {
    const known = this.timeByZxid.get(zxid);
    if (known === undefined) this.timeByZxid.set(zxid, ms);
    else if (known !== ms) return ` TIME OF ${zxid} WAS ${known} IS ${ms}`;
    return "";
  }

  seen(path: string): void {
    // DIVERGENCES "malformed quota texts": random data in a statistics node ends 3.8.0, so none is aimed there.
    if (!path.startsWith("/zookeeper/quota/")) this.alive.add(path);
  }

  created(path: string): void {
    this.seen(path);
    if (path.startsWith("/zookeeper/quota/")) return;
    if (!/\d{10}$/.test(path)) return;
    if (this.sequential.length < 60) this.sequential.push(path);
    else this.sequential[this.zxidLast % 60] = path;
  }

  outcome(op: string, err: number): void {
    const key = `${op} ${err}`;
    this.outcomes.set(key, (this.outcomes.get(key) ?? 0) + 1);
  }
}

function bytesText(bytes: Uint8Array | null): string {
  if (bytes === null) return "null";
  if (bytes.length > 64) return `${bytes.length} bytes ${hexOf(bytes.subarray(0, 32))}… sum ${sumOf(bytes)}`;
  return `<${hexOf(bytes)}>`;
}

function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}

function statText(stat: Stat, facts: Facts): string {
  const times = facts.timeSeen(stat.czxid, stat.ctime) + facts.timeSeen(stat.mzxid, stat.mtime);
  return `{c=${stat.czxid} m=${stat.mzxid} p=${stat.pzxid} v=${stat.version} cv=${stat.cversion} av=${stat.aversion} ` +
    `owner=${
      facts.sessionName(stat.ephemeralOwner)
    } len=${stat.dataLength} kids=${stat.numChildren}${times}}`;
}

function readStatText(r: Reader, facts: Facts, path: string | null): string {
  const stat = readStat(r);
  if (r.failed) return "{cut}";
  if (path !== null) {
    facts.versions.set(path, { version: stat.version, aversion: stat.aversion });
    facts.seen(path);
  }
  return statText(stat, facts);
}

/**
 * Order matters in an ACL, but for `auth`: it becomes one entry for each identity of the connection,
 * and those are a set. So digest entries in a row that grant the same are sorted.
 */
function aclText(acls: AclLoose[] | null): string {
  if (acls === null) return "null";
  const texts: string[] = [];
  for (let i = 0; i < acls.length;) {
    const first = acls[i] as AclLoose;
    let end = i + 1;
    const alike = (acl: AclLoose | undefined) => acl?.scheme === "digest" && acl.perms === first.perms;
    while (alike(first) && alike(acls[end])) end++;
    texts.push(...acls.slice(i, end).map((acl) => `${acl.perms} ${acl.scheme}:${acl.id}`).sort());
    i = end;
  }
  return `[${texts.join(", ")}]`;
}

function sortedText(list: (string | null)[] | null): string {
  return list === null ? "null" : JSON.stringify(list.map((text) => text ?? "null").sort());
}

function bodyText(request: Request, r: Reader, facts: Facts): string {
  switch (request.op) {
    case OpCode.Create: {
      const path = r.string();
      if (path !== null) facts.created(path);
      return JSON.stringify(path);
    }
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl: {
      const path = r.string();
      if (path !== null) facts.created(path);
      return `${JSON.stringify(path)} ${readStatText(r, facts, path)}`;
    }
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return readStatText(r, facts, request.path);
    case OpCode.GetData:
    case OpCode.Reconfig:
      // DIVERGENCES "quota statistics": ours are a count, those of the original may be wrong for a while.
      if (request.path?.endsWith("/zookeeper_stats") === true) {
        r.buffer();
        return `statistics ${statText({ ...readStat(r), dataLength: 0 }, facts)}`;
      }
      return `${bytesText(r.buffer())} ${readStatText(r, facts, request.path)}`;
    case OpCode.GetAcl: {
      return `${aclText(readAcls(r))} ${readStatText(r, facts, request.path)}`;
    }
    case OpCode.GetChildren:
    case OpCode.GetEphemerals:
      return sortedText(r.strings());
    case OpCode.GetChildren2:
      return `${sortedText(r.strings())} ${readStatText(r, facts, request.path)}`;
    case OpCode.Sync:
      return JSON.stringify(r.string());
    case OpCode.GetAllChildrenNumber:
    case OpCode.AddWatch:
      return String(r.i32());
    case OpCode.WhoAmI: {
      const count = r.i32();
      const list: string[] = [];
      for (let i = 0; i < count && !r.failed; i++) list.push(`${r.string()}:${r.string()}`);
      return JSON.stringify(list.sort());
    }
    case OpCode.Sasl:
      return bytesText(r.buffer());
    case OpCode.Multi:
    case OpCode.MultiRead:
      return resultsText(request, r, facts);
    default:
      return "";
  }
}

function resultsText(request: Request, r: Reader, facts: Facts): string {
  const list: string[] = [];
  for (let i = 0; i < 200 && !r.failed; i++) {
    const type = r.i32();
    const done = r.bool();
    const err = r.i32();
    if (done) {
      list.push(`end ${type} ${err}`);
      break;
    }
    list.push(resultText(type, err, request.subs?.[i], r, facts));
  }
  return list.join("; ");
}

function resultText(type: number, err: number, asked: number | undefined, r: Reader, facts: Facts): string {
  facts.outcome(
    `sub ${opName(asked ?? type)}`,
    type === OpCode.Error ? r.left >= 4 ? peekI32(r) : -9999 : err,
  );
  switch (type) {
    case OpCode.Error:
      return `error ${err} ${r.i32()}`;
    case OpCode.Create:
    case OpCode.Create2: {
      const path = r.string();
      if (path !== null) facts.created(path);
      const stat = type === OpCode.Create2 ? ` ${readStatText(r, facts, path)}` : "";
      // DIVERGENCES "create2 in a multi keeps its Stat": 3.8.0 answers it as type 1 with the path alone.
      if (asked === OpCode.Create2) return `create2 ${err} ${JSON.stringify(path)}`;
      return `${type} ${err} ${JSON.stringify(path)}${stat}`;
    }
    case OpCode.SetData:
      return `${type} ${err} ${readStatText(r, facts, null)}`;
    case OpCode.GetData:
      return `${type} ${err} ${bytesText(r.buffer())} ${readStatText(r, facts, null)}`;
    case OpCode.GetChildren:
      return `${type} ${err} ${sortedText(r.strings())}`;
    default:
      return `${type} ${err}`;
  }
}

function peekI32(r: Reader): number {
  const at = r.at;
  const value = r.i32();
  r.at = at;
  return value;
}

/** A watch event as a line, or null when the frame is a reply. */
export function eventLine(frame: Uint8Array): string | null {
  const event = decodeEvent(frame);
  // DIVERGENCES "events carry their zxid": 3.8.0 sends -1, so the header's zxid is left out.
  return event === null ? null : `event ${event.type} ${event.state} ${JSON.stringify(event.path)}`;
}

export function replyLine(request: Request, frame: Uint8Array, facts: Facts): string {
  const r = new Reader(frame);
  const xid = r.i32();
  const zxid = r.i64AsNumber();
  const err = r.i32();
  if (r.failed) return `reply without a header ${hexOf(frame)}`;
  if (zxid > facts.zxidLast) facts.zxidLast = zxid;
  facts.outcome(opName(request.op), err);
  if (
    request.path !== null &&
    (request.op === OpCode.Delete ? err === 0 : err === -101 && !isCreate(request.op))
  ) {
    facts.alive.delete(request.path);
  }
  const about = request.op === OpCode.Exists ? ` ${JSON.stringify(request.path)}` : "";
  let line = `reply to ${opName(request.op)}${about} xid=${xid} zxid=${zxid} err=${err}`;
  // DIVERGENCES "the body behind a failed multiRead".
  if (err !== 0 && request.op === OpCode.MultiRead) return line;
  if (err === 0) line += ` ${bodyText(request, r, facts)}`;
  if (r.failed) return `${line} CUT SHORT ${hexOf(frame.subarray(0, 200))}`;
  if (r.left > 0) line += ` FURTHER BYTES ${hexOf(frame.subarray(r.at, r.at + 200))}`;
  return line;
}

function isCreate(op: number): boolean {
  return op === OpCode.Create || op === OpCode.Create2 || op === OpCode.CreateContainer ||
    op === OpCode.CreateTtl;
}

/** A ConnectResponse; `expected` is the id asked for, 0n where a new one is due. */
export function connectLine(frame: Uint8Array | null, expected: bigint, facts: Facts): string {
  if (frame === null) return "connect: closed without a word";
  const reply = decodeConnectReply(frame);
  if (reply === null) return `connect: not a response ${hexOf(frame)}`;
  const { protocolVersion, timeoutMs, sessionId, password, readOnly } = reply;
  let who: string;
  if (sessionId === 0n) who = `session 0 password ${hexOf(password)}`;
  else {
    if (expected === 0n && !facts.sessionNames.has(sessionId)) {
      facts.sessionNames.set(sessionId, `S${facts.sessionNames.size + 1}`);
    }
    // The password has to follow from the id. client-protocol 2.4.
    const right = hexOf(password) === hexOf(passwordOf(sessionId));
    who = `session ${facts.sessionName(sessionId)} password ${
      right ? "follows from the id" : `WRONG ${hexOf(password)}`
    }`;
  }
  return `connect: version ${protocolVersion} timeout ${timeoutMs} ${who} readOnly ${readOnly}`;
}
