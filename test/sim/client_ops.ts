/**
 * Client ops: what clients ask, by chance, and how each reply is held against the committed history.
 *
 * A few paths and a few clients, so that requests meet. Data are unique, so a value that is read names
 * its write.
 */
import { bytesOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import { AddWatchMode, OpCode } from "../../src/core/wire/opcodes.ts";
import type { Reader } from "../../src/core/wire/reader.ts";
import { type Acl, aclOpen, type Id } from "../../src/core/wire/records.ts";
import {
  readAclReply,
  readDataReply,
  readNamesReply,
  readPathReply,
  readStatReply,
} from "../../src/core/wire/replies.ts";
import {
  type MultiOp,
  writeCreateRequest,
  writeCreateTtlRequest,
  writeDeleteRequest,
  writeMultiRequest,
  writePathRequest,
  writeSetAclRequest,
  writeSetDataRequest,
  writeWatchableRequest,
  writeWatchTypeRequest,
} from "../../src/core/wire/requests.ts";
import type { Writer } from "../../src/core/wire/writer.ts";
import { aclsOf, masked, mayDo, Perm, randomAcls } from "./acls.ts";
import type { Model } from "./checkers/model.ts";
import { checkQuota, quotaRoot } from "./checkers/quotas.ts";
import type { Watches } from "./checkers/watches.ts";
import type { Chance } from "./prng.ts";
import { hex, hold } from "./violation.ts";

export interface Ask {
  readonly op: number;
  readonly path: string;
  readonly watch: boolean;
  /** Of an addWatch. */
  readonly recursive?: boolean;
  /** Bytes that it writes to its path. */
  readonly size?: number;
  readonly text: string;
  readonly write: (w: Writer) => void;
}

const plain = ["/a", "/b", "/c", "/a/x", "/a/y", "/b/x"];
const ephemeral = ["/e0", "/e1", "/e2", "/a/e", "/c/e"];
/** Containers and znodes with a TTL, and a child that keeps a container alive. */
const reaped = ["/k0", "/k1", "/t0", "/t1", "/k0/x", "/k1/x"];
const parents = ["/a", "/b", ""];

export interface Asker {
  readonly chance: Chance;
  readonly dataBytesMax: number;
  /** Requests of many parts, which make txns longer than themselves. */
  readonly isWide: boolean;
  /** Unique. */
  readonly token: string;
  /** Sequential znodes that were made. */
  readonly made: readonly string[];
}

function dataOf({ chance, dataBytesMax, token }: Asker): Uint8Array {
  return bytesOf(token + "~".repeat(chance.below(dataBytesMax)));
}

export function createAsk(
  path: string,
  flags: number,
  data: Uint8Array,
  acls: readonly Acl[] = aclOpen,
): Ask {
  return {
    op: OpCode.Create,
    path,
    watch: false,
    text: `create ${path} ${flags}`,
    size: data.length,
    write: (w) => writeCreateRequest(w, path, data, acls, flags),
  };
}

export function readAsk(op: number, path: string, watch: boolean): Ask {
  return {
    op,
    path,
    watch,
    text: `read ${op} ${path}${watch ? " with a watch" : ""}`,
    write: (w) => writeWatchableRequest(w, path, watch),
  };
}

export function syncAsk(): Ask {
  return { op: OpCode.Sync, path: "/", watch: false, text: "sync", write: (w) => writePathRequest(w, "/") };
}

export function closeAsk(): Ask {
  return { op: OpCode.CloseSession, path: "", watch: false, text: "closeSession", write: () => {} };
}

const deletable = [...plain, "/k0/x", "/k1/x"];

const subjects = ["/a", "/a/x", "/b"];

/** A quota is made, changed or removed, as a whole or in part, perhaps along with what it counts. */
function quotaOps(asker: Asker): MultiOp[] {
  const { chance: c } = asker;
  const subject = c.pick(subjects);
  const top = `${quotaRoot}${subject}`;
  const limits = `${top}/zookeeper_limits`;
  const stats = `${top}/zookeeper_stats`;
  const text = `count=-1,bytes=-1=;byteHardLimit=${c.pick([50, 500, 3000])};countHardLimit=${
    c.between(1, 9)
  }`;
  const create = (path: string, data: Uint8Array): MultiOp => {
    return { kind: "create", op: OpCode.Create, path, data, acls: aclOpen, flags: 0 };
  };
  const remove = (path: string): MultiOp => ({ kind: "delete", path, version: -1 });
  const ops = c.pick<MultiOp[]>([
    [create(top, bytesOf("")), create(limits, bytesOf(text)), create(stats, bytesOf(""))],
    [create(top, bytesOf("")), create(stats, bytesOf("")), create(limits, bytesOf(text))],
    [create(limits, bytesOf(text))],
    [create(stats, bytesOf("none"))],
    [{ kind: "setData", path: limits, data: bytesOf(text), version: -1 }],
    [{ kind: "setData", path: stats, data: bytesOf("count=7,bytes=7"), version: -1 }],
    [remove(limits)],
    [remove(stats)],
    [remove(limits), remove(stats), remove(top)],
    [remove(stats), create(stats, bytesOf(""))],
  ]);
  if (c.happens(0.7)) return ops;
  const counted = c.happens(0.5) ? create(`${subject}/x`, dataOf(asker)) : remove(`${subject}/x`);
  return c.happens(0.5) ? [counted, ...ops] : [...ops, counted];
}

function pathOf(c: Chance): string {
  return c.pick(c.happens(0.7) ? plain : c.happens(0.6) ? ephemeral : reaped);
}

function aclsFor(c: Chance, share: number): readonly Acl[] {
  return c.happens(share) ? randomAcls(c) : aclOpen;
}

export function randomAsk(asker: Asker): Ask {
  const { chance: c } = asker;
  const kind = c.weighted([
    [22, "create"],
    [10, "ephemeral"],
    [12, "sequential"],
    [4, "container"],
    [3, "ttl"],
    [4, "child"],
    [asker.isWide ? 30 : 0, "wide"],
    [18, "set"],
    [12, "delete"],
    [7, "multi"],
    [24, "get"],
    [8, "exists"],
    [14, "children"],
    [5, "addWatch"],
    [8, "quota"],
    [3, "statistics"],
    [8, "setAcl"],
    [6, "getAcl"],
    [6, "sync"],
  ]);
  switch (kind) {
    case "create":
      return createAsk(c.pick(plain), 0, dataOf(asker), aclsFor(c, 0.2));
    case "ephemeral":
      return createAsk(c.pick(ephemeral), 1, dataOf(asker), aclsFor(c, 0.1));
    case "sequential":
      return createAsk(`${c.pick(parents)}/s-`, c.pick([2, 3]), dataOf(asker), aclsFor(c, 0.1));
    case "container": {
      const path = c.pick(reaped.slice(0, 2));
      const data = dataOf(asker);
      const write = (w: Writer) => writeCreateRequest(w, path, data, aclOpen, 4);
      return {
        op: OpCode.CreateContainer,
        path,
        watch: false,
        text: `createContainer ${path}`,
        size: data.length,
        write,
      };
    }
    case "ttl": {
      const path = c.pick(reaped.slice(2, 4));
      const data = dataOf(asker);
      const ttlMs = c.pick([1, 200, 1000, 100_000]);
      const write = (w: Writer) => writeCreateTtlRequest(w, path, data, aclOpen, 5, ttlMs);
      return {
        op: OpCode.CreateTtl,
        path,
        watch: false,
        text: `create ${path} for ${ttlMs} ms`,
        size: data.length,
        write,
      };
    }
    case "wide": {
      // An `auth` entry is a few bytes, and what it stands for is more: the txn may be too long.
      const id = { scheme: "auth", id: "" };
      const acls: readonly Acl[] = [{ perms: 31, id }, { perms: 1, id }];
      const count = c.between(4, 16);
      const part = { kind: "create", op: OpCode.Create, path: "/s-", data: null, acls, flags: 3 } as const;
      const ops: MultiOp[] = Array.from({ length: count }, () => part);
      const write = (w: Writer) => writeMultiRequest(w, ops);
      return { op: OpCode.Multi, path: "", watch: false, text: `multi of ${count} ephemerals`, write };
    }
    case "child":
      return createAsk(c.pick(reaped.slice(4)), c.pick([0, 1]), dataOf(asker));
    case "set": {
      const path = pathOf(c);
      const version = c.happens(0.8) ? -1 : c.below(4);
      const data = dataOf(asker);
      const write = (w: Writer) => writeSetDataRequest(w, path, data, version);
      return {
        op: OpCode.SetData,
        path,
        watch: false,
        text: `set ${path} if ${version}`,
        size: data.length,
        write,
      };
    }
    case "delete": {
      const path = c.happens(0.4) && asker.made.length > 0 ? c.pick(asker.made) : c.pick(deletable);
      const write = (w: Writer) => writeDeleteRequest(w, path, -1);
      return { op: OpCode.Delete, path, watch: false, text: `delete ${path}`, write };
    }
    case "multi": {
      const ops: MultiOp[] = [];
      const count = c.between(1, 4);
      for (let i = 0; i < count; i++) {
        const path = c.pick(plain);
        const data = dataOf(asker);
        if (c.happens(0.5)) ops.push({ kind: "setData", path, data, version: -1 });
        else if (c.happens(0.3)) ops.push({ kind: "delete", path, version: -1 });
        else {
          const flags = c.pick([0, 0, 1]);
          ops.push({ kind: "create", op: OpCode.Create, path, data, acls: aclsFor(c, 0.2), flags });
        }
      }
      const write = (w: Writer) => writeMultiRequest(w, ops);
      return { op: OpCode.Multi, path: "", watch: false, text: `multi of ${count}`, write };
    }
    case "quota": {
      const ops = quotaOps(asker);
      const write = (w: Writer) => writeMultiRequest(w, ops);
      const text = ops.map(({ kind, path }) => `${kind} ${path}`).join(", ");
      return { op: OpCode.Multi, path: "", watch: false, text: `multi of ${text}`, write };
    }
    case "statistics":
      return readAsk(OpCode.GetData, `${quotaRoot}${c.pick(subjects)}/zookeeper_stats`, c.happens(0.2));
    case "get":
      return readAsk(OpCode.GetData, pathOf(c), c.happens(0.4));
    case "exists":
      return readAsk(OpCode.Exists, pathOf(c), c.happens(0.6));
    case "children":
      return readAsk(OpCode.GetChildren, c.pick(["/", "/a", "/b", "/k0"]), c.happens(0.3));
    case "addWatch": {
      const path = c.pick(["/", "/a", "/b", "/k0", "/a/x", "/e0"]);
      const recursive = c.happens(0.5);
      const mode = recursive ? AddWatchMode.PersistentRecursive : AddWatchMode.Persistent;
      const text = `addWatch ${path}${recursive ? " and below" : ""}`;
      const write = (w: Writer) => writeWatchTypeRequest(w, path, mode);
      return { op: OpCode.AddWatch, path, watch: false, recursive, text, write };
    }
    case "setAcl": {
      const path = c.pick(c.happens(0.8) ? plain : ephemeral);
      const acls = aclsFor(c, 0.5);
      const version = c.happens(0.8) ? -1 : c.below(3);
      const write = (w: Writer) => writeSetAclRequest(w, path, acls, version);
      return { op: OpCode.SetAcl, path, watch: false, text: `setACL ${path} if ${version}`, write };
    }
    case "getAcl": {
      const path = c.pick(c.happens(0.8) ? plain : ephemeral);
      const write = (w: Writer) => writePathRequest(w, path);
      return { op: OpCode.GetAcl, path, watch: false, text: `getACL ${path}`, write };
    }
    default:
      return syncAsk();
  }
}

const decoder = new TextDecoder();

/** Is this reply, as of `zxid`, what the committed history says? Arms the watch that was asked for. */
export function checkRead(
  who: string,
  ask: Ask,
  err: number,
  zxid: number,
  r: Reader,
  model: Model,
  watches: Watches,
  identities: readonly Id[],
): void {
  const { op, path, watch } = ask;
  const now = model.as(path, zxid);
  const where = () => `${who} ${ask.text} as of ${hex(zxid)}`;
  const perms = op === OpCode.GetAcl ? Perm.read | Perm.admin : Perm.read;
  if (err === ErrorCode.NoAuth || err === ErrorCode.Ok) {
    hold(
      now.exists && mayDo(now.acls, perms, identities) === (err === ErrorCode.Ok),
      "permissions",
      () => `${where()}: answered ${err}, the ACL is ${JSON.stringify(aclsOf(now.acls))}`,
    );
    if (err === ErrorCode.NoAuth) return;
  }
  if (err !== ErrorCode.Ok) {
    hold(err === ErrorCode.NoNode, "reads are answered", () => `${where()}: error ${err}`);
    hold(
      !now.exists,
      "reads are of committed state",
      () => `${where()}: says there is none, made at ${hex(now.czxid)}`,
    );
    if (watch && op === OpCode.Exists) watches.arm(path, "data", zxid, true);
    return;
  }
  hold(now.exists, "reads are of committed state", () => `${where()}: says there is one`);
  if (op === OpCode.GetChildren) {
    const names = readNamesReply(r).sort().join(" ");
    const expected = model.childrenAs(path, zxid).join(" ");
    hold(
      names === expected,
      "reads are of committed state",
      () => `${where()}: [${names}], not [${expected}]`,
    );
    if (watch) watches.arm(path, "child", zxid, false);
    return;
  }
  if (op === OpCode.GetAcl) {
    const all = aclsOf(now.acls);
    const wanted = JSON.stringify(mayDo(now.acls, Perm.admin, identities) ? all : masked(all));
    const { acls, stat } = readAclReply(r);
    hold(
      JSON.stringify(acls) === wanted && stat.aversion === now.aversion,
      "reads are of committed state",
      () => `${where()}: ${JSON.stringify(acls)} version ${stat.aversion}, not ${wanted} ${now.aversion}`,
    );
    return;
  }
  const data = op === OpCode.GetData ? readDataReply(r) : null;
  const stat = data === null ? readStatReply(r) : data.stat;
  const { czxid, mzxid, version } = now;
  const same = stat.czxid === czxid && stat.mzxid === mzxid && stat.version === version &&
    BigInt.asIntN(64, stat.ephemeralOwner) === now.ownerShown;
  hold(
    same && !r.failed,
    "reads are of committed state",
    () =>
      `${where()}: czxid ${hex(stat.czxid)} mzxid ${hex(stat.mzxid)} version ${stat.version}, not ${
        hex(czxid)
      } ${hex(mzxid)} ${version}`,
  );
  if (data !== null) {
    const text = data.data === null ? null : decoder.decode(data.data);
    const wanted = model.dataAs(path, zxid);
    hold(text === wanted, "reads are of committed state", () => `${where()}: ${text}, not ${wanted}`);
  }
  if (watch) watches.arm(path, "data", zxid, false);
}

const creates: readonly number[] = [OpCode.Create, OpCode.CreateContainer, OpCode.CreateTtl];

/** The permission that a write needs, and where; 0 for what several znodes decide. */
function needs({ op, path }: Ask): readonly [number, string] {
  const parent = path.slice(0, path.lastIndexOf("/")) || "/";
  if (creates.includes(op)) return [Perm.create, parent];
  if (op === OpCode.Delete) return [Perm.delete, parent];
  if (op === OpCode.SetData) return [Perm.write, path];
  return [op === OpCode.SetAcl ? Perm.admin : 0, path];
}

/** A write that was answered is in the history, at the zxid of its reply and by who asked. */
export function checkWrite(
  who: string,
  ask: Ask,
  session: bigint,
  xid: number,
  err: number,
  zxid: number,
  r: Reader,
  model: Model,
  identities: readonly Id[],
  enforceQuota: boolean,
): string | null {
  const txn = model.txn(zxid);
  const ours = txn !== null && txn.session === session && txn.cxid === xid;
  const where = () =>
    `${who} ${ask.text} xid ${xid}, answered ${err} at ${hex(zxid)}; committed there: ${
      txn === null ? "nothing" : `type ${txn.type} error ${txn.error} cxid ${txn.cxid}`
    }`;
  if (ours && (err === ErrorCode.Ok || err === ErrorCode.NoAuth)) {
    const [perms, path] = needs(ask);
    hold(
      perms === 0 || mayDo(model.as(path, zxid - 1).acls, perms, identities) === (err === ErrorCode.Ok),
      "permissions",
      () => `${where()}; the ACL of ${path} was ${JSON.stringify(aclsOf(model.as(path, zxid - 1).acls))}`,
    );
  }
  const checksQuota = ours && ask.size !== undefined && (enforceQuota || err === ErrorCode.QuotaExceeded);
  if (checksQuota && (err === ErrorCode.Ok || err === ErrorCode.QuotaExceeded)) {
    const isCreate = ask.op !== OpCode.SetData;
    const before = isCreate ? 0 : model.as(ask.path, zxid - 1).data?.length ?? 0;
    checkQuota(where, model, ask.path, err, zxid, isCreate ? 1 : 0, (ask.size ?? 0) - before);
  }
  if (err !== ErrorCode.Ok) {
    hold(!ours || txn.error === err, "answered writes are committed", where);
    return null;
  }
  hold(ours && txn.error === 0, "answered writes are committed", where);
  if (!creates.includes(ask.op)) return null;
  const path = readPathReply(r);
  hold(
    path.startsWith(ask.path) && model.as(path, zxid).czxid === zxid,
    "answered writes are committed",
    where,
  );
  return path;
}
