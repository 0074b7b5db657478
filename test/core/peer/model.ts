/**
 * Model: ZooKeeper, as dumb as possible, for comparison.
 *
 * A Map from paths to objects. Writes take effect one after another in the order in which they came,
 * at the moment they are durable, and each is judged then: there is no overlay, no pending state, no
 * bytes. What it answers are plain objects; `decode` in decode.ts makes the same of frames.
 */
import { sha1 } from "@noble/hashes/legacy.js";

export interface ModelAcl {
  readonly perms: number;
  readonly scheme: string;
  readonly id: string;
}

interface Node {
  data: string | null;
  acls: readonly ModelAcl[];
  czxid: number;
  mzxid: number;
  pzxid: number;
  ctime: number;
  mtime: number;
  version: number;
  creations: number;
  aversion: number;
  /** 0 none, else a session; containers and TTLs show none. */
  owner: bigint;
  kind: "plain" | "ephemeral" | "container" | "ttl";
}

export interface Write {
  readonly kind: "write";
  readonly name:
    | "create"
    | "create2"
    | "createContainer"
    | "createTtl"
    | "delete"
    | "setData"
    | "setAcl"
    | "check";
  readonly path: string;
  /** As hex; null is null. */
  readonly data: string | null;
  readonly acls: readonly ModelAcl[];
  readonly flags: number;
  readonly ttlMs: number;
  readonly version: number;
}

export type Request =
  | Write
  | { readonly kind: "multi"; readonly parts: readonly Write[] }
  | {
    readonly kind: "multiRead";
    readonly parts: readonly { name: "getData" | "getChildren"; path: string }[];
  }
  | { readonly kind: "read"; readonly name: ReadName; readonly path: string; readonly watch: boolean }
  | { readonly kind: "addWatch"; readonly path: string; readonly mode: number }
  | { readonly kind: "removeWatches" | "checkWatches"; readonly path: string; readonly type: number }
  | { readonly kind: "auth"; readonly text: string }
  | { readonly kind: "close" };

export type ReadName =
  | "exists"
  | "getData"
  | "getChildren"
  | "getChildren2"
  | "getAcl"
  | "getAllChildrenNumber"
  | "getEphemerals"
  | "sync"
  | "ping"
  | "whoAmI";

export type Frame = Readonly<Record<string, unknown>>;

interface Entry {
  readonly xid: number;
  readonly request: Request;
  readonly zxid: number;
  readonly wallMs: number;
  readonly ids: readonly { scheme: string; id: string }[];
}

export interface ModelClient {
  session: bigint;
  timeoutMs: number;
  ids: readonly { scheme: string; id: string }[];
  readonly frames: Frame[];
  readonly order: Entry[];
  state: "opening" | "open" | "closing" | "closed";
  /** "data" and "child": path to modes. */
  readonly watches: { data: Map<string, Set<string>>; child: Map<string, Set<string>> };
}

class Refusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(String(code));
    this.code = code;
  }
}

const open: readonly ModelAcl[] = [{ perms: 31, scheme: "world", id: "anyone" }];
const special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export function isPath(path: string): boolean {
  if (path === "/") return true;
  if (!path.startsWith("/") || path.endsWith("/")) return false;
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/.test(path)) return false;
  return path.slice(1).split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function versionNext(version: number): number {
  return version === -2 ? 0 : (version + 1) | 0;
}

export function digestId(text: string): string {
  const hash = sha1(new TextEncoder().encode(text));
  return `${text.split(":")[0]}:${btoa(String.fromCharCode(...hash))}`;
}

export class Model {
  nodes = new Map<string, Node>();
  readonly clients = new Set<ModelClient>();
  readonly sessions = new Set<bigint>();
  readonly closing = new Set<bigint>();
  /** Txns proposed, not yet durable; null is a createSession. */
  readonly inFlight: { client: ModelClient; entry: Entry | null; zxid: number; wallMs: number }[] = [];
  zxid = 0;
  proposed = 0;
  wallMs = 0;
  /** zxids of closeSessions, whose events have no order among themselves. */
  readonly unordered = new Set<number>();

  constructor() {
    const make = (acls: readonly ModelAcl[], aversion: number): Node => ({
      data: "",
      acls,
      czxid: 0,
      mzxid: 0,
      pzxid: 0,
      ctime: 0,
      mtime: 0,
      version: 0,
      creations: 0,
      aversion,
      owner: 0n,
      kind: "plain",
    });
    this.nodes.set("/", make(open, 0));
    this.nodes.set("/zookeeper", make(open, 0));
    this.nodes.set("/zookeeper/quota", make(open, 0));
    this.nodes.set("/zookeeper/config", make([{ perms: 1, scheme: "world", id: "anyone" }], -1));
  }

  // ------------------------------------------------------------------------------------- clients

  connect(session: bigint, timeoutMs: number, address: string): ModelClient {
    const client: ModelClient = {
      session,
      timeoutMs,
      ids: [{ scheme: "ip", id: address }],
      frames: [],
      order: [],
      state: "opening",
      watches: { data: new Map(), child: new Map() },
    };
    this.clients.add(client);
    this.inFlight.push({ client, entry: null, zxid: ++this.proposed, wallMs: this.wallMs });
    return client;
  }

  disconnect(client: ModelClient): void {
    client.state = "closed";
    this.clients.delete(client);
  }

  request(client: ModelClient, xid: number, request: Request): void {
    if (client.state !== "open") return;
    if (request.kind === "auth") {
      const id = digestId(request.text);
      if (!client.ids.some((one) => one.id === id)) client.ids = [{ scheme: "digest", id }, ...client.ids];
      client.frames.push({ xid, zxid: 0, err: 0 });
      return;
    }
    if (this.closing.has(client.session)) return;
    const isWrite = request.kind === "write" || request.kind === "multi" || request.kind === "close";
    const zxid = isWrite ? ++this.proposed : 0;
    const entry: Entry = { xid, request, zxid, wallMs: this.wallMs, ids: client.ids };
    if (isWrite) this.inFlight.push({ client, entry, zxid, wallMs: this.wallMs });
    client.order.push(entry);
    if (request.kind === "close") {
      client.state = "closing";
      this.closing.add(client.session);
    }
    this.#reads(client);
  }

  #reads(client: ModelClient): void {
    while (client.order[0]?.zxid === 0) {
      const entry = client.order.shift();
      if (entry !== undefined && client.state !== "closed") this.#read(client, entry);
    }
  }

  // -------------------------------------------------------------------------------------- writes

  durable(last: number): void {
    while ((this.inFlight[0]?.zxid ?? Infinity) <= last) {
      const txn = this.inFlight.shift();
      if (txn === undefined) return;
      const { client, entry, zxid } = txn;
      this.zxid = zxid;
      if (entry === null) {
        this.sessions.add(client.session);
        if (client.state === "closed") continue;
        client.state = "open";
        client.frames.push({ connected: true, timeoutMs: client.timeoutMs, session: client.session });
        continue;
      }
      const reply = this.#write(client, entry);
      client.order.shift();
      if (client.state !== "closed") client.frames.push(reply);
      if (entry.request.kind === "close") {
        client.state = "closed";
        this.clients.delete(client);
      }
      this.#reads(client);
    }
  }

  #write(client: ModelClient, entry: Entry): Frame {
    const { xid, zxid, request } = entry;
    if (request.kind === "close") {
      this.unordered.add(zxid);
      const mine = [...this.nodes].filter(([, node]) =>
        node.kind === "ephemeral" && node.owner === client.session
      );
      for (const [path] of mine) this.#remove(path, zxid);
      this.sessions.delete(client.session);
      return { xid, zxid, err: 0 };
    }
    if (request.kind === "multi") return this.#multi(client, entry, request.parts);
    if (request.kind !== "write") throw new Error("unreachable: only writes are in flight");
    const { code, body } = this.#attempt(client, entry, request);
    return { xid, zxid, err: code, ...(code === 0 ? body : {}) };
  }

  #attempt(client: ModelClient, entry: Entry, write: Write): { code: number; body: Frame } {
    try {
      return { code: 0, body: this.#change(client, entry, write) };
    } catch (error) {
      if (error instanceof Refusal) return { code: error.code, body: {} };
      throw error;
    }
  }

  #multi(client: ModelClient, entry: Entry, parts: readonly Write[]): Frame {
    const { xid, zxid } = entry;
    // Everything, copied: undone is put back.
    const before = structuredClone([...this.nodes]);
    const watches = [...this.clients].map((one) => ({
      one,
      frames: one.frames.length,
      watches: structuredClone(one.watches),
    }));
    const results: Frame[] = [];
    for (const [i, part] of parts.entries()) {
      const { code, body } = this.#attempt(client, entry, part);
      if (code === 0) {
        results.push({
          part: part.name === "create" ? "create" : isCreate(part) ? "create2" : part.name,
          ...body,
        });
        continue;
      }
      this.nodes = new Map(before);
      for (const { one, frames, watches: saved } of watches) {
        one.frames.length = frames;
        one.watches.data.clear();
        one.watches.child.clear();
        for (const [path, modes] of saved.data) one.watches.data.set(path, modes);
        for (const [path, modes] of saved.child) one.watches.child.set(path, modes);
      }
      const failed = parts.map((_, k) => ({ part: "error", code: k < i ? 0 : k === i ? code : -2 }));
      return { xid, zxid, err: 0, results: failed };
    }
    return { xid, zxid, err: 0, results };
  }

  #change(client: ModelClient, entry: Entry, write: Write): Frame {
    switch (write.name) {
      case "create":
      case "create2":
      case "createContainer":
      case "createTtl":
        return this.#create(client, entry, write);
      case "delete":
        return this.#delete(entry, write);
      case "setData": {
        if (!isPath(write.path)) throw new Refusal(-8);
        const node = this.#node(write.path);
        this.#allow(node, 2, entry);
        if (write.version !== -1 && write.version !== node.version) throw new Refusal(-103);
        node.data = write.data;
        node.version = versionNext(node.version);
        node.mzxid = entry.zxid;
        node.mtime = entry.wallMs;
        this.#fire("data", write.path, 3, node.acls, new Set());
        return { stat: this.stat(write.path) };
      }
      case "setAcl": {
        if (!isPath(write.path)) throw new Refusal(-8);
        const acls = this.#normal(write.acls, entry);
        const node = this.#node(write.path);
        this.#allow(node, 16, entry);
        if (write.version !== -1 && write.version !== node.aversion) throw new Refusal(-103);
        node.acls = acls;
        node.aversion = versionNext(node.aversion);
        return { stat: this.stat(write.path) };
      }
      case "check": {
        if (!isPath(write.path)) throw new Refusal(-8);
        const node = this.#node(write.path);
        this.#allow(node, 1, entry);
        if (write.version !== -1 && write.version !== node.version) throw new Refusal(-103);
        return {};
      }
    }
  }

  #node(path: string): Node {
    const node = this.nodes.get(path === "" ? "/" : path);
    if (node === undefined) throw new Refusal(-101);
    return node;
  }

  #create(client: ModelClient, entry: Entry, write: Write): Frame {
    const { flags, name } = write;
    if (flags < 0 || flags > 6) throw new Refusal(-8);
    const isTtl = flags >= 5;
    if (isTtl ? write.ttlMs < 1 || write.ttlMs > 0xff_ffff_ffff : name === "createTtl" && write.ttlMs >= 0) {
      throw new Refusal(-8);
    }
    if (isTtl !== (name === "createTtl") || (name === "createContainer" && flags !== 4)) {
      throw new Refusal(-8);
    }
    if (!write.path.includes("/") || write.path.includes("\0")) throw new Refusal(-8);
    const acls = this.#normal(write.acls, entry);
    const parentPath = write.path.slice(0, write.path.lastIndexOf("/"));
    const parent = this.nodes.get(parentPath === "" ? "/" : parentPath);
    if (parent === undefined) throw new Refusal(-101);
    this.#allow(parent, 4, entry);
    const sequential = flags === 2 || flags === 3 || flags === 6;
    const path = sequential ? `${write.path}${String(parent.creations).padStart(10, "0")}` : write.path;
    if (!isPath(path)) throw new Refusal(-8);
    if (this.nodes.has(path)) throw new Refusal(-110);
    if (parent.kind === "ephemeral") throw new Refusal(-108);
    const ephemeral = flags === 1 || flags === 3;
    parent.creations++;
    parent.pzxid = entry.zxid;
    this.nodes.set(path, {
      data: write.data,
      acls,
      czxid: entry.zxid,
      mzxid: entry.zxid,
      pzxid: entry.zxid,
      ctime: entry.wallMs,
      mtime: entry.wallMs,
      version: 0,
      creations: 0,
      aversion: 0,
      owner: ephemeral ? client.session : 0n,
      kind: flags === 4 ? "container" : isTtl ? "ttl" : ephemeral ? "ephemeral" : "plain",
    });
    this.#fire("data", path, 1, acls, new Set());
    this.#fire("child", parentOf(path), 4, parent.acls, new Set());
    return name === "create" ? { path } : { path, stat: this.stat(path) };
  }

  #delete(entry: Entry, { path, version }: Write): Frame {
    if (!path.includes("/") || path.includes("\0") || special.includes(path)) throw new Refusal(-8);
    const parentPath = path.slice(0, path.lastIndexOf("/"));
    const parent = this.nodes.get(parentPath === "" ? "/" : parentPath);
    if (parent === undefined) throw new Refusal(-101);
    this.#allow(parent, 8, entry);
    const node = this.nodes.get(path);
    if (node === undefined) throw new Refusal(-101);
    if (version !== -1 && version !== node.version) throw new Refusal(-103);
    if (this.children(path).length > 0) throw new Refusal(-111);
    this.#remove(path, entry.zxid);
    return {};
  }

  #remove(path: string, zxid: number): void {
    const node = this.nodes.get(path);
    const parent = this.nodes.get(parentOf(path));
    if (node === undefined || parent === undefined) throw new Error(`unreachable: ${path} is there`);
    this.nodes.delete(path);
    parent.pzxid = Math.max(parent.pzxid, zxid);
    const told = new Set<ModelClient>();
    this.#fire("data", path, 2, node.acls, told);
    this.#fire("child", path, 2, node.acls, told);
    this.#fire("child", parentOf(path), 4, parent.acls, new Set());
  }

  #normal(acls: readonly ModelAcl[], entry: Entry): readonly ModelAcl[] {
    const distinct = acls.filter((one, i) => acls.findIndex((other) => same(one, other)) === i);
    const result: ModelAcl[] = [];
    for (const one of distinct) {
      if (one.scheme === "world" && one.id === "anyone") result.push(one);
      else if (one.scheme === "digest" && /^[^:]*:[^:]+$/.test(one.id)) result.push(one);
      else if (one.scheme === "auth") {
        const proven = entry.ids.filter(({ scheme }) => scheme === "digest");
        if (proven.length === 0) throw new Refusal(-114);
        for (const { scheme, id } of proven) result.push({ perms: one.perms, scheme, id });
      } else throw new Refusal(-114);
    }
    if (result.length === 0) throw new Refusal(-114);
    return result;
  }

  #allows(acls: readonly ModelAcl[], perm: number, ids: readonly { scheme: string; id: string }[]): boolean {
    return acls.some((acl) =>
      (acl.perms & perm) !== 0 &&
      (acl.scheme === "world" || ids.some((one) => one.scheme === acl.scheme && one.id === acl.id))
    );
  }

  #allow(node: Node, perm: number, entry: Entry): void {
    if (!this.#allows(node.acls, perm, entry.ids)) throw new Refusal(-102);
  }

  // --------------------------------------------------------------------------------------- reads

  children(path: string): string[] {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...this.nodes.keys()].filter((one) =>
      one !== "/" && one.startsWith(prefix) && !one.slice(prefix.length).includes("/")
    ).map((one) => one.slice(prefix.length)).sort();
  }

  stat(path: string): Frame {
    const node = this.#node(path);
    const children = this.children(path === "" ? "/" : path).length;
    return {
      czxid: node.czxid,
      mzxid: node.mzxid,
      ctime: node.ctime,
      mtime: node.mtime,
      version: node.version,
      cversion: (2 * node.creations - children) | 0,
      aversion: node.aversion,
      ephemeralOwner: node.kind === "ephemeral" ? node.owner : 0n,
      dataLength: (node.data ?? "").length / 2,
      numChildren: children,
      pzxid: node.pzxid,
    };
  }

  #read(client: ModelClient, entry: Entry): void {
    const { xid } = entry;
    const header = { xid, zxid: this.zxid };
    try {
      client.frames.push({ ...header, err: 0, ...this.#answer(client, entry) });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      client.frames.push({ ...header, err: error.code });
    }
  }

  #watch(client: ModelClient, table: "data" | "child", path: string, mode: string): void {
    const modes = client.watches[table].get(path);
    if (modes === undefined) client.watches[table].set(path, new Set([mode]));
    else modes.add(mode);
  }

  #answer(client: ModelClient, { request, ids }: Entry): Frame {
    switch (request.kind) {
      case "read":
        return this.#readOne(client, ids, request.name, request.path, request.watch);
      case "multiRead":
        return {
          results: request.parts.map(({ name, path }) => {
            try {
              return { part: name, ...this.#readOne(client, ids, name, path, false) };
            } catch (error) {
              if (!(error instanceof Refusal)) throw error;
              return { part: "error", code: error.code };
            }
          }),
        };
      case "addWatch":
        if (request.mode !== 0 && request.mode !== 1) throw new Refusal(-5);
        this.#watch(client, "data", request.path, request.mode === 0 ? "persistent" : "recursive");
        if (request.mode === 0) this.#watch(client, "child", request.path, "persistent");
        return { count: 0 };
      case "removeWatches":
      case "checkWatches": {
        const both = ["data", "child"] as const;
        const all = ["standard", "persistent", "recursive"];
        const [tables, modes] = request.type === 1
          ? [["child"] as const, ["standard"]]
          : request.type === 2
          ? [["data"] as const, ["standard"]]
          : request.type === 3
          ? [both, all]
          : request.type === 4
          ? [both, ["persistent"]]
          : request.type === 5
          ? [["data"] as const, ["recursive"]]
          : [[], []];
        if (modes.length === 0) throw new Refusal(-5);
        let found = false;
        for (const table of tables) {
          const have = client.watches[table].get(request.path);
          for (const mode of modes) {
            if (have?.has(mode)) found = true;
            if (request.kind === "removeWatches") have?.delete(mode);
          }
        }
        if (!found) throw new Refusal(-121);
        return {};
      }
      default:
        throw new Error(`unreachable: ${request.kind} is no read`);
    }
  }

  #readOne(
    client: ModelClient,
    ids: Entry["ids"],
    name: ReadName,
    path: string,
    watch: boolean,
  ): Frame {
    const readable = (perm: number): Node => {
      const node = this.#node(path);
      if (!this.#allows(node.acls, perm, ids)) throw new Refusal(-102);
      return node;
    };
    switch (name) {
      case "exists": {
        if (path.includes("\0")) throw new Refusal(-8);
        const there = this.nodes.has(path === "" ? "/" : path);
        if (there) readable(1);
        if (watch) this.#watch(client, "data", path, "standard");
        return { stat: this.stat(path) };
      }
      case "getData": {
        const node = readable(1);
        if (watch) this.#watch(client, "data", path, "standard");
        return { data: node.data, stat: this.stat(path) };
      }
      case "getChildren":
      case "getChildren2": {
        readable(1);
        if (watch) this.#watch(client, "child", path, "standard");
        const names = this.children(path === "" ? "/" : path);
        return name === "getChildren" ? { names } : { names, stat: this.stat(path) };
      }
      case "getAcl": {
        const { acls } = readable(17);
        const shown = this.#allows(acls, 16, ids)
          ? acls
          : acls.map((one) => one.scheme === "digest" ? { ...one, id: `${one.id.split(":")[0]}:x` } : one);
        return { acls: shown, stat: this.stat(path) };
      }
      case "getAllChildrenNumber": {
        readable(1);
        const prefix = path === "/" || path === "" ? "/" : `${path}/`;
        return {
          count: [...this.nodes.keys()].filter((one) => one !== "/" && one.startsWith(prefix)).length,
        };
      }
      case "getEphemerals": {
        const mine = [...this.nodes].filter(([, node]) =>
          node.kind === "ephemeral" && node.owner === client.session
        );
        const names = mine.map(([one]) => one).filter((one) =>
          path.trim() === "" || path === "/" || one.startsWith(path)
        );
        return { names: names.sort() };
      }
      case "sync":
        return { path };
      case "ping":
        return {};
      case "whoAmI":
        return {
          ids: ids.map(({ scheme, id }) => [scheme, scheme === "digest" ? id.split(":")[0] : id]),
        };
    }
  }

  // -------------------------------------------------------------------------------------- events

  #fire(
    table: "data" | "child",
    path: string,
    type: number,
    acls: readonly ModelAcl[],
    told: Set<ModelClient>,
  ): void {
    for (const client of this.clients) {
      let hit = false;
      const modes = client.watches[table].get(path);
      if (modes !== undefined && modes.size > 0) hit = true;
      modes?.delete("standard");
      for (const [watched, set] of client.watches[table]) {
        if (set.has("recursive") && (watched === "/" || path === watched || path.startsWith(`${watched}/`))) {
          if (watched !== "") hit = true;
        }
      }
      if (!hit || told.has(client)) continue;
      told.add(client);
      if (!this.#allows(acls, 1, client.ids)) continue;
      client.frames.push({ event: type, zxid: this.zxid, path });
    }
  }
}

function isCreate(write: Write): boolean {
  return write.name.startsWith("create");
}

function same(a: ModelAcl, b: ModelAcl): boolean {
  return a.perms === b.perms && a.scheme === b.scheme && a.id === b.id;
}
