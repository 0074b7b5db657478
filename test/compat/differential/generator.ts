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
  noBody,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  setAclBody,
  setDataBody,
} from "../../support/bodies.ts";
import { type Aim, anyPath, make, mayWatch, showPath } from "./aim.ts";
import type { ReattachVariant, Request, Step } from "./step.ts";
import { pickAcls, pickData, pickVersion, pickXid, slotCount, superUser, users } from "./vocabulary.ts";
import { addWatchRequest, checkWatchesRequest, setWatchesRequest } from "./watch_requests.ts";
import { createRequest, multiReadRequest, multiRequest, quotaRequest } from "./writes.ts";

const timeouts = [60_000, 60_000, 0, -5, 100_000, 2147483647, -2147483648];
const variants: readonly (readonly [number, ReattachVariant])[] = [
  [4, "drop"],
  [3, "takeover"],
  [1, "wrong password"],
  [1, "unknown session"],
  [2, "future zxid"],
  [2, "no readOnly byte"],
];

export class Generator {
  readonly #aim: Aim;
  #xid = 0;

  constructor(aim: Aim) {
    this.#aim = aim;
  }

  next(): Step {
    const { random } = this.#aim;
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
    if (at < 120 && !this.#aim.quotaEnforced) return this.#burst(slot);
    return { kind: "requests", slot, requests: [this.#request(slot, false)] };
  }

  #raw(slot: number): Step {
    const { random } = this.#aim;
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
    const { random } = this.#aim;
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
    const { random } = this.#aim;
    const requests: Request[] = [];
    const count = 2 + random.below(random.percent(10) ? 40 : 8);
    for (let i = 0; i < count; i++) requests.push(this.#request(slot, true));
    return { kind: "requests", slot, requests };
  }

  #nextXid(): number {
    this.#xid = this.#xid === 2147483647 ? 1 : this.#xid + 1;
    return this.#xid;
  }

  /** In a burst: nothing whose reply may overtake others, and no setACL. */
  #request(slot: number, inBurst: boolean): Request {
    const { random } = this.#aim;
    const xid = pickXid(random, this.#nextXid());
    const whole = this.#whole(slot, xid, inBurst);
    if (random.percent(2) && !undamaged.includes(whole.op)) return this.#damaged(whole);
    return whole;
  }

  /** The same request cut short, or with bytes behind it. */
  #damaged(whole: Request): Request {
    const { random } = this.#aim;
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
    const { random } = this.#aim;
    const path = anyPath(this.#aim);
    const known = typeof path === "string" ? path : null;
    const shown = showPath(path);
    const current = known === null ? undefined : this.#aim.facts.versions.get(known);
    const kind = random.weighted(inBurst ? burstKinds : kinds);
    switch (kind) {
      case "create":
        return createRequest(this.#aim, xid, false);
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
        const watch = random.percent(35) && mayWatch(known, slot, "standard");
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
        return multiRequest(this.#aim, xid);
      case "multiRead":
        return multiReadRequest(this.#aim, xid);
      case "addWatch":
        return addWatchRequest(this.#aim, slot, xid);
      case "checkWatches":
      case "removeWatches":
        return checkWatchesRequest(
          this.#aim,
          slot,
          xid,
          kind === "checkWatches" ? OpCode.CheckWatches : OpCode.RemoveWatches,
        );
      case "setWatches":
        return setWatchesRequest(this.#aim, slot, xid);
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
        return quotaRequest(this.#aim, xid);
      case "garbage": {
        const op = random.pick(garbageOps);
        return make(op, xid, random.bytes(random.below(24)), null, `${opName(op)} with a random body`);
      }
    }
  }

  #auth(slot: number, xid: number): Request {
    const { random } = this.#aim;
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
}

/**
 * Operations that a random body cannot turn into something 3.8.0 does not survive.
 * DIVERGENCES "a malformed reconfig": 16 is left out.
 */
const garbageOps: readonly OpCode[] = [
  ...[OpCode.Create, OpCode.Create2, OpCode.CreateContainer, OpCode.Delete, OpCode.SetData, OpCode.SetAcl],
  ...[OpCode.Exists, OpCode.GetData, OpCode.GetAcl, OpCode.GetChildren, OpCode.GetChildren2, OpCode.Sync],
  ...[OpCode.Multi, OpCode.MultiRead, OpCode.SetWatches, OpCode.SetWatches2, OpCode.AddWatch],
  ...[OpCode.CheckWatches, OpCode.RemoveWatches, OpCode.GetEphemerals, OpCode.GetAllChildrenNumber],
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
