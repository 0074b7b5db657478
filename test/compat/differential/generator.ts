/**
 * Generator: random steps from a seed, aimed with what the first server has answered so far.
 *
 * Aiming (current versions, names of sequential children) makes requests succeed often enough to
 * build a tree worth comparing. Where Apache ZooKeeper 3.8.0 differs from us on purpose the step is
 * not made, with the row of src/DIVERGENCES.md beside it.
 */
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { OpCode, opName } from "../../../src/core/wire/opcodes.ts";
import {
  authBody,
  type Bytes,
  bytesOfRecord,
  createBody,
  type LoosePath,
  multiBody,
  noBody,
  openAcl,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  setAclBody,
  setDataBody,
  setWatchesBody,
  type SubRequest,
} from "../../support/bodies.ts";
import type { Random } from "../../support/random.ts";
import type { Facts } from "./canonical.ts";
import type { ReattachVariant, Request, Step } from "./step.ts";
import {
  pickAcls,
  pickData,
  pickPath,
  pickPlainPath,
  pickVersion,
  pickXid,
  slotCount,
  superUser,
  users,
  watchRule,
} from "./vocabulary.ts";

const timeouts = [60_000, 60_000, 0, -5, 100_000, 2147483647, -2147483648];
const variants: readonly (readonly [number, ReattachVariant])[] = [
  [4, "drop"],
  [3, "takeover"],
  [1, "wrong password"],
  [1, "unknown session"],
  [2, "future zxid"],
  [2, "no readOnly byte"],
];

/** DIVERGENCES "every quota above counts": none inside another. */
const quotaRoots = ["/a/b", "/b"];

export interface GeneratorOptions {
  /** Hard limits are set and enforced: then no bursts, for 3.8.0 does not count what is pending. */
  readonly quotaEnforced: boolean;
}

export class Generator {
  readonly #random: Random;
  readonly #facts: Facts;
  readonly #options: GeneratorOptions;
  #xid = 0;

  constructor(random: Random, facts: Facts, options: GeneratorOptions) {
    this.#random = random;
    this.#facts = facts;
    this.#options = options;
  }

  next(): Step {
    const random = this.#random;
    const slot = random.below(slotCount);
    const at = random.below(1000);
    if (at < 8) {
      return { kind: "renew", slot, timeoutMs: random.pick(timeouts), passwordSent: random.percent(20) };
    }
    if (at < 18) {
      return { kind: "reattach", slot, variant: random.weighted(variants), timeoutMs: random.pick(timeouts) };
    }
    if (at < 21) return this.#raw(slot);
    if (at < 26) return { kind: "requests", slot, requests: [this.#closing()] };
    if (at < 120 && !this.#options.quotaEnforced) return this.#burst(slot);
    return { kind: "requests", slot, requests: [this.#request(slot, false)] };
  }

  #raw(slot: number): Step {
    const random = this.#random;
    const [bytes, text] = random.pick<readonly [Bytes, string]>([
      [new Uint8Array([0xff, 0xff, 0xff, 0xff]), "a frame of length -1"],
      [new Uint8Array([0x80, 0, 0, 0]), "a frame of length -2^31"],
      [new Uint8Array([0, 0x10, 0, 0]), "a frame one byte too long"],
      [new Uint8Array([0x7f, 0xff, 0xff, 0xff]), "a frame of 2 GB"],
      [new Uint8Array([0, 0, 0, 0]), "an empty frame"],
      [new Uint8Array([0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0]), "a frame of 7 bytes"],
      [bytesOf("ruok"), "a four-letter word inside a session"],
      [new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), "a TLS hello inside a session"],
    ]);
    return { kind: "raw", slot, bytes, text };
  }

  /** Requests that end the connection, each alone: what follows one is unreliable. client-protocol 3.4. */
  #closing(): Request {
    const random = this.#random;
    const xid = this.#nextXid();
    if (random.percent(50)) {
      // DIVERGENCES "check outside a multi", "createSession and deleteContainer from a client": 13, -10, 20 are left out.
      const op = random.pick([0, -1, 10, 23, 99, 108, 1000, -2, -12, 2147483647, -2147483648]);
      return make(op, xid, random.bytes(random.below(12)), null, `unknown op ${op}`);
    }
    const [scheme, auth] = random.pick<readonly [string | null, Uint8Array | null]>([
      ["world", bytesOf("anyone")],
      ["auth", bytesOf("x")],
      ["sasl", bytesOf("x")],
      ["super", bytesOf("super:admin")],
      ["nope", new Uint8Array(0)],
      ["digest", null],
      ["", bytesOf("x")],
    ]);
    return make(OpCode.Auth, xid, authBody(scheme, auth), null, `auth ${scheme} that fails`);
  }

  #burst(slot: number): Step {
    const random = this.#random;
    const requests: Request[] = [];
    const count = 2 + random.below(random.percent(10) ? 40 : 8);
    for (let i = 0; i < count; i++) requests.push(this.#request(slot, true));
    return { kind: "requests", slot, requests };
  }

  #nextXid(): number {
    this.#xid = this.#xid === 2147483647 ? 1 : this.#xid + 1;
    return this.#xid;
  }

  #path(): LoosePath {
    return pickPath(this.#random, this.#facts.sequential, this.#facts.alive);
  }

  #pathInMulti(): LoosePath {
    // DIVERGENCES "a null path inside a multi or multiRead": 3.8.0 stumbles over it before it takes a zxid.
    return this.#path() ?? "/a";
  }

  /** In a burst: nothing whose reply may overtake others, and no setACL. */
  #request(slot: number, inBurst: boolean): Request {
    const random = this.#random;
    const xid = pickXid(random, this.#nextXid());
    const whole = this.#whole(slot, xid, inBurst);
    if (random.percent(2) && !undamaged.includes(whole.op)) return this.#damaged(whole);
    return whole;
  }

  /** The same request cut short, or with bytes behind it. */
  #damaged(whole: Request): Request {
    const random = this.#random;
    const { body } = whole;
    if (body.length > 0 && random.percent(70)) {
      const cut = random.below(body.length);
      return {
        ...whole,
        body: body.slice(0, cut),
        path: null,
        text: `${whole.text} CUT to ${cut} of ${body.length}`,
      };
    }
    const longer = new Uint8Array(body.length + 1 + random.below(9));
    longer.set(body);
    longer.fill(random.below(256), body.length);
    return { ...whole, body: longer, text: `${whole.text} +${longer.length - body.length} bytes` };
  }

  #whole(slot: number, xid: number, inBurst: boolean): Request {
    const random = this.#random;
    const path = this.#path();
    const known = typeof path === "string" ? path : null;
    const shown = showPath(path);
    const current = known === null ? undefined : this.#facts.versions.get(known);
    const kind = random.weighted(inBurst ? burstKinds : kinds);
    switch (kind) {
      case "create":
        return this.#create(xid, false);
      case "delete": {
        const version = random.percent(60) ? -1 : pickVersion(random, current?.version);
        return make(OpCode.Delete, xid, pathNumberBody(path, version), known, `delete ${shown} v${version}`);
      }
      case "setData": {
        const version = pickVersion(random, current?.version);
        const data = pickData(random);
        return make(
          OpCode.SetData,
          xid,
          setDataBody(path, data, version),
          known,
          `setData ${shown} v${version}`,
        );
      }
      case "setAcl": {
        const version = pickVersion(random, current?.aversion);
        const acls = pickAcls(random, shown === "/" ? 95 : 50);
        const text = `setACL ${shown} v${version} ${JSON.stringify(acls)}`;
        return make(OpCode.SetAcl, xid, setAclBody(path, acls, version), known, text);
      }
      case "exists":
      case "getData":
      case "getChildren":
      case "getChildren2": {
        const op = readOps[kind];
        const watch = random.percent(35) && this.#mayWatch(known, slot, "standard");
        return make(
          op,
          xid,
          pathWatchBody(path, watch),
          known,
          `${kind} ${shown}${watch ? " and watch" : ""}`,
        );
      }
      case "getAcl":
        return make(OpCode.GetAcl, xid, pathBody(path), known, `getACL ${shown}`);
      case "sync":
        // DIVERGENCES "characters beyond U+FFFF", "bytes that are no UTF-8": only sync sends such a path back.
        if ((path !== null && known === null) || /[\ud800-\udfff]/.test(known ?? "")) {
          return make(OpCode.Ping, xid, noBody, null, "ping");
        }
        return make(OpCode.Sync, xid, pathBody(path), null, `sync ${shown}`);
      case "ping":
        return make(OpCode.Ping, xid, noBody, null, "ping");
      case "whoAmI":
        return make(OpCode.WhoAmI, xid, noBody, null, "whoAmI");
      case "getEphemerals": {
        const prefix = random.pick([null, "", " ", "/", "/a", "/b", "/a/", "/a/b", "x"]);
        return make(OpCode.GetEphemerals, xid, pathBody(prefix), null, `getEphemerals ${showPath(prefix)}`);
      }
      case "getAllChildrenNumber":
        // DIVERGENCES "getAllChildrenNumber of the empty path".
        if (path === "") return make(OpCode.Ping, xid, noBody, null, "ping");
        return make(OpCode.GetAllChildrenNumber, xid, pathBody(path), null, `getAllChildrenNumber ${shown}`);
      case "multi":
        return this.#multi(xid);
      case "multiRead":
        return this.#multiRead(xid);
      case "addWatch":
        return this.#addWatch(slot, xid);
      case "checkWatches":
      case "removeWatches":
        return this.#checkWatches(
          slot,
          xid,
          kind === "checkWatches" ? OpCode.CheckWatches : OpCode.RemoveWatches,
        );
      case "setWatches":
        return this.#setWatches(slot, xid);
      case "auth":
        return this.#auth(slot, xid);
      case "reconfig": {
        const body = bytesOfRecord((w) => {
          w.string(random.pick([null, "", "server.1=127.0.0.1:1:2;3"]));
          w.string(null);
          w.string(null);
          w.i64(-1n);
        });
        return make(OpCode.Reconfig, xid, body, null, "reconfig");
      }
      case "sasl": {
        const body = bytesOfRecord((w) => w.buffer(random.bytes(random.below(5))));
        return make(OpCode.Sasl, xid, body, null, "sasl");
      }
      case "quota":
        return this.#quota(xid);
      case "garbage": {
        const op = random.pick(garbageOps);
        return make(op, xid, random.bytes(random.below(24)), null, `${opName(op)} with a random body`);
      }
    }
  }

  #mayWatch(path: string | null, slot: number, kind: "standard" | "persistent" | "recursive"): boolean {
    if (path === null) return false;
    const rule = watchRule(path);
    return rule.kind === kind && (rule.owner === -1 || rule.owner === slot);
  }

  /** A create of any kind; in a multi only what has the same meaning there. */
  #create(xid: number, inMulti: boolean): Request {
    const random = this.#random;
    const path = random.percent(70) ? pickPlainPath(random) : inMulti ? this.#pathInMulti() : this.#path();
    const acls = pickAcls(random, 85);
    const data = pickData(random);
    const op = random.weighted<number>([
      [10, OpCode.Create],
      [7, OpCode.Create2],
      [2, OpCode.CreateContainer],
      [3, OpCode.CreateTtl],
    ]);
    let flags: number;
    let ttl: bigint | undefined;
    if (op === OpCode.CreateTtl) {
      ttl = random.pick([1n, 1000n, 3_600_000n, 3_600_000n, 0xff_ffff_ffffn, 0x100_0000_0000n, 0n, -1n, -5n]);
      flags = random.pick([5, 5, 5, 6]);
      // DIVERGENCES "createTTL with a flag that is no TTL's": with a negative ttl it kills 3.8.0, so only others are sent.
      if (!inMulti && random.percent(5)) {
        flags = random.pick([0, 1, 2, 3, 4, -1, 7]);
        ttl = random.pick([0n, 1n, 1000n]);
      }
    } else if (op === OpCode.CreateContainer) {
      // DIVERGENCES "flags must fit the operation": 19 with 0-3 makes a container there.
      flags = random.percent(95) ? 4 : random.pick([5, 6, -1, 7]);
    } else {
      flags = random.pick([0, 0, 0, 0, 1, 1, 2, 2, 3]);
      // DIVERGENCES "flags must fit the operation": 1 and 15 with 4 is left out.
      if (random.percent(3)) flags = random.pick([5, 6, -1, 7, 100]);
    }
    // DIVERGENCES "wrong create flags inside a multi": 3.8.0 looks when the operation's turn has come.
    if (inMulti && op !== OpCode.CreateTtl && (flags < 0 || flags > 4)) {
      flags = op === OpCode.CreateContainer ? 4 : 0;
    }
    // DIVERGENCES "a null path in a create": 3.8.0 looks at the flags first.
    if (path === null) {
      flags = op === OpCode.CreateTtl ? 5 : op === OpCode.CreateContainer ? 4 : 0;
      ttl = ttl === undefined ? undefined : 1000n;
    }
    const text = `${opName(op)} ${showPath(path)} flags ${flags}${ttl === undefined ? "" : ` ttl ${ttl}`}` +
      (acls === openAcl ? "" : ` ${JSON.stringify(acls)}`);
    const known = typeof path === "string" ? path : null;
    return make(op, xid, createBody(path, data, flags, acls, ttl), known, text);
  }

  #multi(xid: number): Request {
    const random = this.#random;
    const subs: SubRequest[] = [];
    const texts: string[] = [];
    const count = random.pick([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 12]);
    // Half of them are made to succeed as far as one can know; the others mostly fail somewhere.
    const likely = random.percent(50);
    for (let i = 0; i < count; i++) {
      const path = likely && this.#facts.alive.size > 0
        ? random.pick([...this.#facts.alive])
        : this.#pathInMulti();
      const current = typeof path === "string" ? this.#facts.versions.get(path) : undefined;
      const version = likely || random.percent(60) ? -1 : pickVersion(random, current?.version);
      if (likely && random.percent(40)) {
        const flags = random.pick([2, 3]);
        subs.push({
          op: random.pick([OpCode.Create, OpCode.Create2]),
          body: createBody(path, pickData(random), flags),
        });
        texts.push(`create ${showPath(path)} flags ${flags}`);
        continue;
      }
      switch (random.below(5)) {
        case 0:
        case 1: {
          const create = this.#create(xid, true);
          subs.push({ op: create.op, body: create.body });
          texts.push(create.text);
          break;
        }
        case 2:
          subs.push({ op: OpCode.Delete, body: pathNumberBody(path, version) });
          texts.push(`delete ${showPath(path)} v${version}`);
          break;
        case 3:
          subs.push({ op: OpCode.SetData, body: setDataBody(path, pickData(random), version) });
          texts.push(`setData ${showPath(path)} v${version}`);
          break;
        default:
          subs.push({ op: OpCode.Check, body: pathNumberBody(path, version) });
          texts.push(`check ${showPath(path)} v${version}`);
      }
    }
    if (random.percent(2)) {
      const op = random.pick([3, 7, 8, 4, 9, 11, 14, 16, 22, 99, -1, 0]);
      subs.splice(random.below(subs.length + 1), 0, { op, body: pathWatchBody("/a", false) });
      texts.push(`and ${opName(op)}`);
    }
    return {
      ...make(OpCode.Multi, xid, multiBody(subs), null, `multi [${texts.join(", ")}]`),
      subs: subs.map((sub) => sub.op),
    };
  }

  #multiRead(xid: number): Request {
    const random = this.#random;
    const subs: SubRequest[] = [];
    const texts: string[] = [];
    const count = random.below(6);
    for (let i = 0; i < count; i++) {
      const path = this.#pathInMulti();
      const op = random.pick([OpCode.GetData, OpCode.GetChildren]);
      subs.push({ op, body: pathWatchBody(path, random.percent(30)) });
      texts.push(`${opName(op)} ${showPath(path)}`);
    }
    if (random.percent(3)) {
      const odd: SubRequest = random.pick([
        { op: OpCode.Delete, body: pathNumberBody("/a", -1) },
        { op: OpCode.Exists, body: pathWatchBody("/a", false) },
        { op: 99, body: noBody },
      ]);
      subs.push(odd);
      texts.push(`and ${opName(odd.op)}`);
    }
    const request = make(OpCode.MultiRead, xid, multiBody(subs), null, `multiRead [${texts.join(", ")}]`);
    return { ...request, subs: subs.map((sub) => sub.op) };
  }

  #addWatch(slot: number, xid: number): Request {
    const random = this.#random;
    for (let i = 0; i < 20; i++) {
      const path = random.percent(10)
        ? random.pick(["/", "/zookeeper", "relative", "/a/", "/never"])
        : pickPlainPath(random);
      const mode = random.below(2);
      if (!this.#mayWatch(path, slot, mode === 0 ? "persistent" : "recursive")) continue;
      return make(OpCode.AddWatch, xid, pathNumberBody(path, mode), path, `addWatch ${path} mode ${mode}`);
    }
    const mode = random.pick([2, -1, 100]);
    return make(OpCode.AddWatch, xid, pathNumberBody("/a", mode), null, `addWatch /a mode ${mode}`);
  }

  #checkWatches(slot: number, xid: number, op: number): Request {
    const random = this.#random;
    for (let i = 0; i < 20; i++) {
      const path = pickPlainPath(random);
      const rule = watchRule(path);
      if (rule.owner !== slot) continue;
      // DIVERGENCES "watch modes coexist": types 1 and 2 mean standard watches only, so the others are asked for with 3.
      const type = rule.kind === "standard" ? random.pick([1, 2, 3]) : 3;
      return make(op, xid, pathNumberBody(path, type), path, `${opName(op)} ${path} type ${type}`);
    }
    // DIVERGENCES "watcher types 4 and 5": unknown to 3.8.0.
    const type = random.pick([0, 6, -1, 99]);
    return make(op, xid, pathNumberBody("/a", type), null, `${opName(op)} /a type ${type}`);
  }

  #setWatches(slot: number, xid: number): Request {
    const random = this.#random;
    const listOf = (kind: "standard" | "persistent" | "recursive"): string[] => {
      const list: string[] = [];
      for (let i = random.below(6); i > 0; i--) {
        const path = pickPlainPath(random);
        if (this.#mayWatch(path, slot, kind)) list.push(path);
      }
      return list;
    };
    const last = this.#facts.zxidLast;
    const relative = BigInt(random.pick([0, 1, last, Math.max(0, last - random.below(100)), last + 1000]));
    const second = random.percent(50);
    const lists: (string[] | null)[] = [listOf("standard"), listOf("standard"), listOf("standard")];
    if (second) lists.push(listOf("persistent"), listOf("recursive"));
    // DIVERGENCES "setWatches with a null list": 3.8.0 works through the lists before it.
    if (random.percent(4)) {
      lists.fill([]);
      lists[random.below(lists.length)] = null;
    }
    const op = second ? OpCode.SetWatches2 : OpCode.SetWatches;
    const text = `${opName(op)} since ${relative} ${JSON.stringify(lists)}`;
    return make(op, random.percent(80) ? -8 : xid, setWatchesBody(relative, lists), null, text);
  }

  #auth(slot: number, xid: number): Request {
    const random = this.#random;
    const [scheme, auth] = random.weighted<readonly [string, string]>([
      [10, ["digest", users[slot] ?? users[0]]],
      [3, ["digest", random.pick(users)]],
      [slot === slotCount - 1 ? 10 : 1, ["digest", superUser]],
      [1, ["digest", "super:wrong"]],
      [1, ["digest", "nocolon"]],
      [1, ["digest", ""]],
      [1, ["digest", ":p"]],
      [1, ["digest", "u:"]],
      [1, ["digest", "u:p:q"]],
      [1, ["digest", "\u00e9:\u00fc"]],
      [1, ["ip", "whatever"]],
    ]);
    return make(
      OpCode.Auth,
      random.percent(80) ? -4 : xid,
      authBody(scheme, bytesOf(auth)),
      null,
      `auth ${scheme} ${auth}`,
    );
  }

  /** Limits and statistics of a quota, always well formed: server-semantics 7. */
  #quota(xid: number): Request {
    const random = this.#random;
    const root = this.#options.quotaEnforced ? "/a" : random.pick(quotaRoots);
    const steps: string[] = [];
    let at = "/zookeeper/quota";
    for (const name of root.slice(1).split("/")) steps.push(at += `/${name}`);
    const limits = `${at}/zookeeper_limits`;
    const stats = `${at}/zookeeper_stats`;
    const numbers = `count=${random.below(12) - 1},bytes=${random.below(400) - 1}`;
    const hard = random.percent(60)
      ? `=;byteHardLimit=${random.below(500) - 1};countHardLimit=${random.below(15) - 1}`
      : "";
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2: {
        const path = random.pick(steps);
        return make(OpCode.Create, xid, createBody(path, null), path, `create ${path}`);
      }
      case 3:
      case 4:
        return make(
          OpCode.Create2,
          xid,
          createBody(limits, bytesOf(numbers + hard)),
          limits,
          `create2 ${limits} ${numbers}${hard}`,
        );
      case 5:
      case 6: {
        const text = "count=0,bytes=0";
        return make(OpCode.Create, xid, createBody(stats, bytesOf(text)), stats, `create ${stats} ${text}`);
      }
      case 7:
        return make(
          OpCode.SetData,
          xid,
          setDataBody(limits, bytesOf(numbers + hard), -1),
          limits,
          `setData ${limits} ${numbers}${hard}`,
        );
      case 8: {
        const path = random.pick([limits, stats, at]);
        return make(OpCode.Delete, xid, pathNumberBody(path, -1), path, `delete ${path}`);
      }
      default:
        return make(OpCode.GetData, xid, pathWatchBody(stats, false), stats, `getData ${stats}`);
    }
  }
}

/**
 * Operations that a random body cannot turn into something 3.8.0 does not survive.
 * DIVERGENCES "a malformed reconfig": 16 is left out.
 */
const garbageOps: readonly number[] = [
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  12,
  14,
  15,
  17,
  18,
  19,
  22,
  101,
  103,
  104,
  105,
  106,
];

/** DIVERGENCES "a malformed reconfig", "a malformed auth or sasl packet". */
const undamaged: readonly number[] = [OpCode.Auth, OpCode.Sasl, OpCode.Reconfig];

const readOps = {
  exists: OpCode.Exists,
  getData: OpCode.GetData,
  getChildren: OpCode.GetChildren,
  getChildren2: OpCode.GetChildren2,
} as const;

const burstKinds = [
  [26, "create"],
  [9, "delete"],
  [10, "setData"],
  [5, "exists"],
  [7, "getData"],
  [3, "getChildren"],
  [5, "getChildren2"],
  [2, "getAcl"],
  [10, "multi"],
  [3, "multiRead"],
  [2, "sync"],
  [2, "ping"],
  [1, "whoAmI"],
  [2, "getEphemerals"],
  [2, "getAllChildrenNumber"],
  [2, "addWatch"],
  [1, "checkWatches"],
  [2, "removeWatches"],
  [2, "setWatches"],
  [1, "garbage"],
] as const;

const kinds = [
  ...burstKinds,
  [5, "setAcl"],
  [4, "auth"],
  [1, "reconfig"],
  [1, "sasl"],
  [6, "quota"],
] as const;

function make(op: number, xid: number, body: Bytes, path: string | null, text: string): Request {
  return { op, xid, body, path, subs: null, text };
}

function showPath(path: LoosePath): string {
  if (path === null) return "null";
  return typeof path === "string"
    ? JSON.stringify(path).slice(1, -1)
    : `bytes ${[...path].map((b) => b.toString(16)).join(" ")}`;
}
