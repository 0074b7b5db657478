/**
 * A whole peer against the dumb model: pipelined requests of several clients, with writes and their
 * durability delayed at will, connections that come and go, and every frame compared.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Zxid } from "../../../src/core/base/zxid.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { digestVersion, txnHeaderAt } from "../../../src/core/wire/txns.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { Writer } from "../../../src/core/wire/writer.ts";
import { ConnectionState } from "../../../src/core/peer/connection.ts";
import { Peer } from "../../../src/core/peer/peer.ts";
import { decode, opOf, writeBody } from "./decode.ts";
import { Driver, type DriverLine, peerOptions, txnsOf } from "./driver.ts";
import {
  digestId,
  type Frame,
  Model,
  type ModelAcl,
  type ModelClient,
  type Request,
  type Write,
} from "./model.ts";

// Few names, so that requests meet.
const paths = ["/a", "/a/x", "/a/x", "/a/y", "/a/y", "/b", "/b/z", "/a/x/p", "/zookeeper/q"];
const oddPaths = [
  "/",
  "",
  "/a/",
  "//a",
  "a",
  "/a//x",
  "/./a",
  "/a/..",
  "/zookeeper",
  "/zookeeper/config",
  "/a\0",
  "/\u0085",
];
const path = fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...paths) }, {
  weight: 2,
  arbitrary: fc.constantFrom(...oddPaths),
});
const data = fc.option(fc.constantFrom("", "00", "616263", "ff".repeat(40)), { nil: null });
const acl: fc.Arbitrary<ModelAcl> = fc.constantFrom(
  { perms: 31, scheme: "world", id: "anyone" },
  { perms: 1, scheme: "world", id: "anyone" },
  { perms: 30, scheme: "world", id: "anyone" },
  { perms: 31, scheme: "digest", id: digestId("u:p") },
  { perms: 17, scheme: "auth", id: "" },
  { perms: 31, scheme: "nonsense", id: "x" },
);
const acls = fc.oneof(
  { weight: 8, arbitrary: fc.constant([{ perms: 31, scheme: "world", id: "anyone" }]) },
  { weight: 1, arbitrary: fc.array(acl, { maxLength: 3 }) },
);
const names = [
  "create",
  "create",
  "create2",
  "createContainer",
  "createTtl",
  "delete",
  "delete",
  "setData",
] as const;
const flagsOf = { create: [0, 1, 2, 3], create2: [0, 1, 2, 3], createContainer: [4], createTtl: [5, 6] };

function writeOf(name: fc.Arbitrary<Write["name"]>): fc.Arbitrary<Write> {
  return fc.record({
    kind: fc.constant("write" as const),
    name,
    path,
    data,
    acls,
    flags: fc.nat(20),
    ttlMs: fc.constantFrom(1000, 1, 0xff_ffff_ffff),
    version: fc.constantFrom(-1, -1, -1, 0, 1, 2, -2),
  }).map((write) => {
    const fitting: readonly number[] = write.name in flagsOf
      ? flagsOf[write.name as keyof typeof flagsOf]
      : [0];
    // One in twenty has flags that may not fit.
    return { ...write, flags: write.flags === 20 ? 4 : fitting[write.flags % fitting.length] ?? 0 };
  });
}

const write = writeOf(fc.constantFrom<Write["name"]>(...names, "setAcl"));
const part = writeOf(fc.constantFrom<Write["name"]>(...names, "check"))
  // A multi's odd flags fail the whole request; told apart elsewhere.
  .map((one) => one.name === "create" || one.name === "create2" ? { ...one, flags: one.flags % 4 } : one);

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 10, arbitrary: write },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("multi" as const), parts: fc.array(part, { maxLength: 5 }) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      name: fc.constantFrom(
        "exists",
        "getData",
        "getChildren",
        "getChildren2",
        "getAcl",
        "getAllChildrenNumber",
        "getEphemerals",
        "sync",
        "ping",
        "whoAmI",
      ),
      path,
      watch: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("addWatch" as const), path, mode: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("removeWatches" as const, "checkWatches" as const),
      path,
      type: fc.nat(6),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("multiRead" as const),
      parts: fc.array(
        fc.record({ name: fc.constantFrom("getData" as const, "getChildren" as const), path }),
        { maxLength: 4 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("auth" as const), text: fc.constantFrom("u:p", "v:q") }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "close" as const }) },
);

type Action =
  | { readonly kind: "request"; readonly line: number; readonly request: Request }
  | { readonly kind: "append" | "durable" | "settle" | "later" }
  | { readonly kind: "leave"; readonly line: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ kind: fc.constant("request" as const), line: fc.nat(2), request }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom("append" as const, "durable" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("settle" as const, "later" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), line: fc.nat(2) }) },
);

const openCreate = (path: string): Action => ({
  kind: "request",
  line: 0,
  request: {
    kind: "write",
    name: "create",
    path,
    data: "00",
    acls: [{ perms: 31, scheme: "world", id: "anyone" }],
    flags: 0,
    ttlMs: -1,
    version: -1,
  },
});
const grown = ["/a", "/a/x", "/a/x/p", "/b"].map(openCreate);
const watched: Action[] = ["/a", "/a/x", "/a/y"].flatMap((path): Action[] => [
  { kind: "request", line: 1, request: { kind: "read", name: "getChildren", path, watch: true } },
  { kind: "request", line: 1, request: { kind: "read", name: "exists", path, watch: true } },
  { kind: "request", line: 2, request: { kind: "addWatch", path, mode: path === "/a" ? 1 : 0 } },
]);

/** A client of the peer and the same of the model. */
interface Both {
  readonly line: DriverLine;
  readonly client: ModelClient;
  readonly requests: Map<number, Request>;
}

class Pair {
  readonly driver = new Driver();
  readonly model = new Model();
  readonly all: Both[] = [];
  readonly now: Both[] = [];

  constructor() {
    for (let i = 0; i < 3; i++) this.connect(i);
  }

  connect(place: number): void {
    this.model.wallMs = this.driver.wallMs;
    const address = `10.0.0.${place + 1}`;
    const line = this.driver.open(address);
    line.connectRequest();
    const client = this.model.connect(line.connection.sessionOffered, 10_000, address);
    const both = { line, client, requests: new Map<number, Request>() };
    this.all.push(both);
    this.now[place] = both;
  }

  act(action: Action): void {
    this.model.wallMs = this.driver.wallMs;
    switch (action.kind) {
      case "append":
        this.driver.append();
        return;
      case "durable":
        return this.durable();
      case "settle":
        return this.settle();
      case "later":
        this.driver.wallMs += 7;
        return;
      case "leave": {
        const both = this.now[action.line] as Both;
        this.model.disconnect(both.client);
        both.line.close();
        return this.connect(action.line);
      }
      case "request": {
        let both = this.now[action.line] as Both;
        if (both.client.state === "closed") {
          this.connect(action.line);
          both = this.now[action.line] as Both;
        }
        // Before the session is there nothing is taken; what it would then see depends on when.
        if (both.line.connection.state === ConnectionState.Opening) this.settle();
        const xid = both.line.xidNext++;
        both.requests.set(xid, action.request);
        this.model.request(
          both.client,
          action.request.kind === "read" && action.request.name === "ping" ? -2 : xid,
          action.request,
        );
        both.line.send(opOf(action.request), (w) => writeBody(w, action.request), xid);
        return;
      }
    }
  }

  durable(): void {
    const last = this.driver.appendingLast;
    if (last === null) return;
    this.model.wallMs = this.driver.wallMs;
    this.driver.durable();
    this.model.durable(last);
  }

  settle(): void {
    for (let i = 0; i < 100 && (this.driver.appendingLast !== null || this.driver.append()); i++) {
      this.durable();
    }
  }

  /** Every frame that any client ever got. */
  compare(): void {
    for (const { line, client, requests } of this.all) {
      const got = line.frames.map((frame, i) => decode(frame, i === 0, (xid) => requests.get(xid)));
      assert.deepEqual(ordered(got, this.model), ordered(client.frames, this.model));
      assert.equal(line.closed, client.state === "closed");
    }
  }
}

/** Events of a closing session have no order among themselves. */
function ordered(frames: readonly Frame[], model: Model): Frame[] {
  const result: Frame[] = [];
  let run: Frame[] = [];
  const flush = () => {
    const key = (frame: Frame) => `${frame["path"]} ${frame["event"]}`;
    result.push(...run.sort((a, b) => key(a) < key(b) ? -1 : 1));
    run = [];
  };
  for (const frame of frames) {
    if (run.length > 0 && frame["zxid"] !== run[0]?.["zxid"]) flush();
    if ("event" in frame && model.unordered.has(frame["zxid"] as number)) run.push(frame);
    else {
      flush();
      result.push(frame);
    }
  }
  flush();
  return result;
}

/** The log, read by a fresh peer: each txn carries the digest of the tree behind it. */
function replay(log: readonly Uint8Array[], digestsToo: boolean): Peer {
  const peer = new Peer(peerOptions());
  const loader = peer.loader();
  peer.tree.makeReserved();
  for (const batch of log) {
    for (const txn of txnsOf(batch)) {
      const w = new Writer(txn.length + 4);
      w.buffer(txn);
      loader.batch(w.copy());
      const { type } = txnHeaderAt(txn, 0, txn.length);
      if (!digestsToo || type === OpCode.Error) continue;
      const r = new Reader(txn, txn.length - 12);
      assert.equal(r.i32(), digestVersion);
      assert.equal(BigInt.asUintN(64, r.i64()), peer.tree.digest.value);
    }
  }
  return peer;
}

const actions = fc.array(action, { minLength: 5, maxLength: 150, size: "max" });

test("a peer answers as one that does one thing after another", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), actions, (isGrown, isWatched, actions) => {
      const pair = new Pair();
      if (isGrown) { for (const one of grown) pair.act(one); }
      if (isWatched) { for (const one of watched) pair.act(one); }
      for (const one of actions) pair.act(one);
      pair.settle();
      pair.compare();
      const { peer, log } = pair.driver;
      assert.equal(peer.inFlight, 0);
      assert.equal(peer.outstanding, 0);
      assert.equal(peer.tree.liveCount, pair.model.nodes.size);
      assert.equal(peer.sessions.size, pair.model.sessions.size);
      const again = replay(log, true);
      assert.equal(again.tree.digest.value, peer.tree.digest.value);
      assert.equal(again.tree.dataBytes, peer.tree.dataBytes);
      assert.equal(again.tree.liveCount, peer.tree.liveCount);
      assert.equal(again.sessions.size, peer.sessions.size);
      again.begin({ zxidLast: peer.zxid }, 0);
      assert.equal(again.inFlight, 0);
      assert.equal(again.zxid, peer.zxid as Zxid);
    }),
    { numRuns: 200 },
  );
});
