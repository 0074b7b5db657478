/**
 * Model: the state that the committed txns make, at every zxid.
 *
 * Each path keeps all versions it ever had, so that a reply which says "as of zxid z" can be checked
 * whenever it comes. Sessions are kept as well: an ephemeral belongs to one that is alive, a
 * sequential name is given out once for each life of its parent, and the txns of one session were
 * asked for in the order in which they are committed.
 */
import { sessionHex, sessionIdOf } from "../../../src/core/base/zxid.ts";
import { OwnerKind, ownerKind, ownerTtlMs } from "../../../src/core/tree/stat.ts";
import { EventType, OpCode, opName } from "../../../src/core/wire/opcodes.ts";
import { txnHeaderAt, type TxnVisitor, walkTxn } from "../../../src/core/wire/txns.ts";
import { aclsText } from "../acls.ts";
import { hex, hold } from "../violation.ts";

export interface Version {
  readonly zxid: number;
  readonly exists: boolean;
  readonly data: string | null;
  readonly version: number;
  readonly czxid: number;
  readonly mzxid: number;
  /** As stored: a session, the mark of a container, or a TTL. */
  readonly owner: bigint;
  /** 0 where it is no session. */
  readonly ownerShown: bigint;
  readonly ctime: number;
  readonly mtime: number;
  readonly aversion: number;
  /** The encoded list, a character for a byte. */
  readonly acls: string;
}

/** What a child that came or went did to its parent. */
interface ChildChange {
  readonly zxid: number;
  readonly cversion: number;
  readonly pzxid: number;
  /** Of the znode itself: nobody who watches its children hears of that. */
  readonly isBirth: boolean;
}

interface Node {
  readonly versions: Version[];
  readonly childChanges: ChildChange[];
  readonly children: Set<string>;
}

/** An event that the watches of a path are told of. */
export interface Told {
  readonly zxid: number;
  readonly type: number;
  readonly path: string;
  /** Who may read this hears of it. */
  readonly acls: string;
  /** Of a closeSession, whose znodes go in any order. */
  readonly isClose: boolean;
}

interface SessionState {
  readonly createdAt: number;
  timeoutMs: number;
  closedAt: number;
  cxidLast: number;
}

export interface ModelTxn {
  readonly zxid: number;
  readonly session: bigint;
  readonly cxid: number;
  readonly type: number;
  readonly error: number;
}

const decoder = new TextDecoder();
/** Of a znode whose list the core sets by itself. */
export const aclsOwn = "";
const sequentialName = /\/s-(\d{10})$/;
const statsOf = /^\/zookeeper\/quota(.+)\/zookeeper_stats$/;
const absent: Version = {
  zxid: 0,
  exists: false,
  data: null,
  version: 0,
  czxid: 0,
  mzxid: 0,
  owner: 0n,
  ownerShown: 0n,
  ctime: 0,
  mtime: 0,
  aversion: 0,
  acls: aclsOwn,
};

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export class Model implements TxnVisitor {
  readonly #nodes = new Map<string, Node>();
  readonly sessions = new Map<bigint, SessionState>();
  readonly #txns = new Map<number, ModelTxn>();
  readonly #numbers = new Map<string, number>();
  /** All events, in the order of their txns. */
  readonly told: Told[] = [];
  #sessionId = 0n;
  #zxid = 0;
  #timeMs = 0;
  #type = 0;
  /** The last txn, for a person. */
  text = "";

  constructor() {
    for (const path of ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
      this.#node(path).versions.push({ ...absent, exists: true, data: "" });
      if (path !== "/") this.#node(parentOf(path)).children.add(path);
    }
  }

  #node(path: string): Node {
    let node = this.#nodes.get(path);
    if (node === undefined) {
      node = { versions: [], childChanges: [], children: new Set() };
      this.#nodes.set(path, node);
    }
    return node;
  }

  txn(zxid: number): ModelTxn | null {
    return this.#txns.get(zxid) ?? null;
  }

  commit(zxid: number, bytes: Uint8Array): void {
    const { sessionHi, sessionLo, cxid, type, timeMs } = txnHeaderAt(bytes, 0, bytes.length);
    const session = BigInt.asIntN(64, sessionIdOf(sessionHi, sessionLo));
    this.#sessionId = session;
    this.#zxid = zxid;
    this.#timeMs = timeMs;
    this.#type = type;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const error = type === OpCode.Error ? view.getInt32(32) : 0;
    this.#txns.set(zxid, { zxid, session, cxid, type, error });
    this.text = `${opName(type)}${error === 0 ? "" : ` ${error}`} cxid ${cxid} of ${
      sessionHex(sessionIdOf(sessionHi, sessionLo))
    }`;
    this.#checkSession(zxid, session, cxid, type);
    const known = walkTxn(bytes, 0, bytes.length, this);
    hold(known, "txns are well-formed", () => `${hex(zxid)} ${this.text}`);
    if (type === OpCode.CloseSession) this.#finishClose(session, zxid);
  }

  /** A closeSession lists what fits into a txn; the rest of the session's ephemerals goes with it. */
  #finishClose(session: bigint, zxid: number): void {
    for (const [path, { versions }] of this.#nodes) {
      const last = versions.at(-1);
      if (last?.exists === true && last.ownerShown === session) this.#removed(path, zxid);
    }
  }

  #checkSession(zxid: number, session: bigint, cxid: number, type: number): void {
    if (type === OpCode.CreateSession || type === OpCode.Error || session === 0n) return;
    const state = this.sessions.get(session);
    hold(
      state !== undefined && state.closedAt === 0,
      "txns belong to a living session",
      () =>
        `${hex(zxid)} ${this.text}, which is ${
          state === undefined ? "unknown" : `closed at ${hex(state.closedAt)}`
        }`,
    );
    if (state === undefined || (type === OpCode.CloseSession && cxid === 0)) return;
    hold(
      cxid > state.cxidLast,
      "session order",
      () => `${hex(zxid)} ${this.text} comes behind cxid ${state.cxidLast} of the same session`,
    );
    state.cxidLast = cxid;
  }

  // ----------------------------------------------------------------------------------- TxnVisitor

  created(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    aclsStart: number,
    aclsEnd: number,
    ownerHi: number,
    ownerLo: number,
    parentCversion: number,
    zxid: number,
    timeMs: number,
  ): void {
    const path = decoder.decode(bytes.subarray(pathStart, pathEnd));
    this.text += ` ${path}`;
    const data = dataStart < 0 ? null : decoder.decode(bytes.subarray(dataStart, dataEnd));
    const owner = BigInt.asIntN(64, sessionIdOf(ownerHi, ownerLo));
    const isSession = ownerKind(ownerHi, ownerLo) === OwnerKind.Session;
    const node = this.#node(path);
    hold(
      !(node.versions.at(-1)?.exists ?? false),
      "creates are of what is not there",
      () => `${path} at ${hex(zxid)}`,
    );
    node.versions.push({
      zxid,
      exists: true,
      data,
      version: 0,
      czxid: zxid,
      mzxid: zxid,
      owner,
      ownerShown: isSession ? owner : 0n,
      ctime: timeMs,
      mtime: timeMs,
      aversion: 0,
      acls: aclsText(bytes.subarray(aclsStart, aclsEnd)),
    });
    node.childChanges.push({ zxid, cversion: 0, pzxid: zxid, isBirth: true });
    if (isSession) {
      hold(
        owner === this.#sessionId && this.sessions.get(owner)?.closedAt === 0,
        "ephemerals belong to a living session",
        () => `${path} at ${hex(zxid)}`,
      );
    }
    const parent = parentOf(path);
    this.#tell(EventType.NodeCreated, path);
    this.#childrenChanged(parent, zxid, parentCversion).children.add(path);
    const number = sequentialName.exec(path)?.[1];
    if (number === undefined) return;
    const life = `${parent} ${this.now(parent).czxid}`;
    hold(
      Number(number) > (this.#numbers.get(life) ?? -1),
      "sequential names are never given twice",
      () => `${path} at ${hex(zxid)} after ${this.#numbers.get(life)}`,
    );
    this.#numbers.set(life, Number(number));
  }

  #tell(type: number, path: string): void {
    const isClose = this.#type === OpCode.CloseSession;
    this.told.push({ zxid: this.#zxid, type, path, acls: this.now(path).acls, isClose });
  }

  /** `cversion`: as the txn says, -1 for one more; 0 for a child that goes. */
  #childrenChanged(path: string, zxid: number, cversion: number): Node {
    const node = this.#node(path);
    hold(node.versions.at(-1)?.exists ?? false, "children have a parent", () => `${path} at ${hex(zxid)}`);
    const before = node.childChanges.at(-1)?.cversion ?? 0;
    const next = cversion === -1 ? before + 1 : Math.max(cversion, before);
    node.childChanges.push({ zxid, cversion: next, pzxid: zxid, isBirth: false });
    this.#tell(EventType.NodeChildrenChanged, path);
    return node;
  }

  deleted(bytes: Uint8Array, pathStart: number, pathEnd: number, zxid: number): void {
    this.#removed(decoder.decode(bytes.subarray(pathStart, pathEnd)), zxid);
  }

  #removed(path: string, zxid: number): void {
    this.text += ` ${path}`;
    const node = this.#node(path);
    hold(
      node.versions.at(-1)?.exists ?? false,
      "deletes are of what is there",
      () => `${path} at ${hex(zxid)}`,
    );
    const [child] = this.childrenAs(path, zxid);
    hold(child === undefined, "deletes are of what has no child", () => `${path} at ${hex(zxid)}, ${child}`);
    if (this.#type === OpCode.DeleteContainer) this.#checkReaped(path, node, zxid);
    this.#tell(EventType.NodeDeleted, path);
    node.versions.push({ ...absent, zxid });
    this.#childrenChanged(parentOf(path), zxid, 0);
  }

  /** A container that had a child, or a TTL that was over at some time of this life. */
  #checkReaped(path: string, { versions }: Node, zxid: number): void {
    const { owner, czxid } = this.now(path);
    const hi = Number(BigInt.asIntN(32, owner >> 32n));
    const lo = Number(BigInt.asIntN(32, owner));
    const kind = ownerKind(hi, lo);
    const isDue = kind === OwnerKind.Container
      ? this.parentAs(path, zxid).cversion > 0
      : kind === OwnerKind.Ttl &&
        versions.some((one) => one.czxid === czxid && this.#timeMs - one.mtime > ownerTtlMs(hi, lo));
    hold(isDue, "only what is due is reaped", () => `${path} at ${hex(zxid)}`);
  }

  dataSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    dataStart: number,
    dataEnd: number,
    version: number,
    zxid: number,
    timeMs: number,
  ): void {
    const path = decoder.decode(bytes.subarray(pathStart, pathEnd));
    this.text += ` ${path}`;
    const before = this.now(path);
    const data = dataStart < 0 ? null : decoder.decode(bytes.subarray(dataStart, dataEnd));
    hold(before.exists, "data is set where there is a znode", () => `${path} at ${hex(zxid)}`);
    hold(version === before.version + 1, "versions go up by one", () => `${path} at ${hex(zxid)}`);
    this.#node(path).versions.push({ ...before, zxid, data, version, mzxid: zxid, mtime: timeMs });
    this.#tell(EventType.NodeDataChanged, path);
  }

  aclSet(
    bytes: Uint8Array,
    pathStart: number,
    pathEnd: number,
    aclsStart: number,
    aclsEnd: number,
    aversion: number,
    zxid: number,
  ): void {
    const path = decoder.decode(bytes.subarray(pathStart, pathEnd));
    this.text += ` ${path}`;
    const node = this.#node(path);
    const before = this.now(path);
    hold(before.exists, "ACLs are set where there is a znode", () => `${path} at ${hex(zxid)}`);
    hold(aversion === before.aversion + 1, "versions go up by one", () => `${path} at ${hex(zxid)}`);
    const acls = aclsText(bytes.subarray(aclsStart, aclsEnd));
    node.versions.push({ ...before, zxid, aversion, acls });
  }

  sessionCreated(hi: number, lo: number, timeoutMs: number): void {
    const id = BigInt.asIntN(64, sessionIdOf(hi, lo));
    hold(!this.sessions.has(id), "session ids are given once", () => this.text);
    this.sessions.set(id, { createdAt: this.#zxid, timeoutMs, closedAt: 0, cxidLast: 0 });
  }

  sessionClosed(hi: number, lo: number, zxid: number): void {
    const state = this.sessions.get(BigInt.asIntN(64, sessionIdOf(hi, lo)));
    if (state !== undefined) state.closedAt = zxid;
  }

  // --------------------------------------------------------------------------------------- asking

  now(path: string): Version {
    return this.#nodes.get(path)?.versions.at(-1) ?? absent;
  }

  /** As it was when `zxid` was the last that had been applied. */
  as(path: string, zxid: number): Version {
    const versions = this.#nodes.get(path)?.versions ?? [];
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version;
      if (version.zxid <= zxid) return version;
    }
    return absent;
  }

  /** Its data; for the statistics of a quota what a recount says, for no txn says that. */
  dataAs(path: string, zxid: number): string | null {
    const subject = statsOf.exec(path)?.[1];
    if (subject === undefined) return this.as(path, zxid).data;
    const { count, bytes } = this.usage(subject, zxid);
    return `count=${count},bytes=${bytes}`;
  }

  /** All at this path and below it. Data here are ASCII. */
  usage(top: string, zxid: number): { readonly count: number; readonly bytes: number } {
    const { exists, data } = this.as(top, zxid);
    if (!exists) return { count: 0, bytes: 0 };
    let count = 1;
    let bytes = data?.length ?? 0;
    for (const child of this.#nodes.get(top)?.children ?? []) {
      const below = this.usage(child, zxid);
      count += below.count;
      bytes += below.bytes;
    }
    return { count, bytes };
  }

  childrenAs(path: string, zxid: number): string[] {
    const names: string[] = [];
    for (const child of this.#nodes.get(path)?.children ?? []) {
      if (this.as(child, zxid).exists) names.push(child.slice(path === "/" ? 1 : path.length + 1));
    }
    return names.sort();
  }

  /** Its cversion as stored, and its pzxid. */
  parentAs(path: string, zxid: number): { readonly cversion: number; readonly pzxid: number } {
    const changes = this.#nodes.get(path)?.childChanges ?? [];
    for (let i = changes.length - 1; i >= 0; i--) {
      const change = changes[i] as ChildChange;
      if (change.zxid <= zxid) return change;
    }
    return { cversion: 0, pzxid: 0 };
  }

  paths(): IterableIterator<string> {
    return this.#nodes.keys();
  }

  sessionsAs(zxid: number): string {
    const open: string[] = [];
    for (const [id, { createdAt, closedAt, timeoutMs }] of this.sessions) {
      if (createdAt <= zxid && (closedAt === 0 || closedAt > zxid)) {
        open.push(`${BigInt.asUintN(64, id).toString(16)}:${timeoutMs}`);
      }
    }
    return open.sort().join(" ");
  }

  /** The first change that a watch of this kind, set at `after`, hears of; 0 for none up to `upTo`. */
  changed(path: string, kind: "data" | "child", after: number, upTo: number): number {
    const node = this.#nodes.get(path);
    if (node === undefined) return 0;
    let first = 0;
    for (let i = node.versions.length - 1; i >= 0; i--) {
      const { zxid, exists, mzxid } = node.versions[i] as Version;
      if (zxid <= after) break;
      // A new ACL is no event.
      if (zxid <= upTo && (!exists || (kind === "data" && mzxid === zxid))) first = zxid;
    }
    if (kind === "data") return first;
    for (let i = node.childChanges.length - 1; i >= 0; i--) {
      const { zxid, isBirth } = node.childChanges[i] as ChildChange;
      if (zxid <= after) break;
      if (!isBirth && zxid <= upTo && (first === 0 || zxid < first)) first = zxid;
    }
    return first;
  }

  /** Ephemerals that outlived their session, as things stand now. */
  orphans(): string[] {
    const found: string[] = [];
    for (const [path, { versions }] of this.#nodes) {
      const last = versions.at(-1);
      if (last === undefined || !last.exists || last.ownerShown === 0n) continue;
      if (this.sessions.get(last.owner)?.closedAt !== 0) found.push(path);
    }
    return found;
  }
}
