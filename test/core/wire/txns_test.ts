/** Txns: every type is told as it was written, and no truncation of one throws or is taken for whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeAcls } from "../../../src/core/tree/acl.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import {
  digestVersion,
  txnDigestBytes,
  txnHeaderAt,
  txnHeaderBytes,
  type TxnVisitor,
  walkTxn,
  writeTxnHeader,
} from "../../../src/core/wire/txns.ts";
import { Writer } from "../../../src/core/wire/writer.ts";

/** Writes down what it is told, as text. */
class Scribe implements TxnVisitor {
  readonly told: string[] = [];
  #text(bytes: Uint8Array, start: number, end: number): string {
    return start < 0 ? "null" : JSON.stringify(new TextDecoder().decode(bytes.subarray(start, end)));
  }
  created(...a: Parameters<TxnVisitor["created"]>): void {
    const [b, p0, p1, d0, d1, a0, a1, hi, lo, cversion, zxid, timeMs] = a;
    this.told.push(
      `created ${this.#text(b, p0, p1)} ${this.#text(b, d0, d1)} ${a1 - a0} ${hi >>> 0}:${
        lo >>> 0
      } ${cversion} ${zxid} ${timeMs}`,
    );
  }
  deleted(b: Uint8Array, p0: number, p1: number, zxid: number): void {
    this.told.push(`deleted ${this.#text(b, p0, p1)} ${zxid}`);
  }
  dataSet(...[b, p0, p1, d0, d1, version, zxid, timeMs]: Parameters<TxnVisitor["dataSet"]>): void {
    this.told.push(`dataSet ${this.#text(b, p0, p1)} ${this.#text(b, d0, d1)} ${version} ${zxid} ${timeMs}`);
  }
  aclSet(...[b, p0, p1, a0, a1, version, zxid]: Parameters<TxnVisitor["aclSet"]>): void {
    this.told.push(`aclSet ${this.#text(b, p0, p1)} ${a1 - a0} ${version} ${zxid}`);
  }
  sessionCreated(hi: number, lo: number, timeoutMs: number): void {
    this.told.push(`sessionCreated ${hi}:${lo} ${timeoutMs}`);
  }
  sessionClosed(hi: number, lo: number, zxid: number): void {
    this.told.push(`sessionClosed ${hi}:${lo} ${zxid}`);
  }
}

function walk(bytes: Uint8Array): { known: boolean; told: string[] } {
  const scribe = new Scribe();
  const padded = new Uint8Array(bytes.length + 9).fill(0x41);
  padded.set(bytes, 4);
  const known = walkTxn(padded, 4, 4 + bytes.length, scribe);
  return { known, told: scribe.told };
}

function txn(type: number, body: (w: Writer) => void): Uint8Array {
  const w = new Writer(64);
  writeTxnHeader(w, 1, 2, 3, 0x5_0000_0006, 7000, type);
  body(w);
  return w.copy();
}

const acls = encodeAcls(aclOpen);
const data = new TextEncoder().encode("data");
const create =
  (path: string, tail: (w: Writer) => void, withData: Uint8Array | null = data) => (w: Writer) => {
    w.string(path);
    w.buffer(withData);
    w.raw(acls);
    tail(w);
  };
const plain = create("/p", (w) => {
  w.bool(false);
  w.i32(9);
});
const ephemeral = create("/e", (w) => {
  w.bool(true);
  w.i32(9);
}, null);
const named = (path: string) => (w: Writer) => w.string(path);
const setData = (w: Writer) => {
  w.string("/p");
  w.buffer(data);
  w.i32(4);
};
const z = 0x5_0000_0006;

const vectors: {
  name: string;
  type: number;
  body: (w: Writer) => void;
  told: string[];
  optional?: number;
}[] = [
  {
    name: "create",
    type: OpCode.Create,
    body: plain,
    told: [`created "/p" "data" ${acls.length} 0:0 9 ${z} 7000`],
    optional: 4,
  },
  {
    name: "create2",
    type: OpCode.Create2,
    body: ephemeral,
    told: [`created "/e" null ${acls.length} 1:2 9 ${z} 7000`],
    optional: 4,
  },
  {
    name: "createContainer",
    type: OpCode.CreateContainer,
    body: create("/c", (w) => w.i32(8)),
    told: [`created "/c" "data" ${acls.length} ${0x8000_0000}:0 8 ${z} 7000`],
  },
  {
    name: "createTtl",
    type: OpCode.CreateTtl,
    body: create("/t", (w) => {
      w.i32(8);
      w.i64FromNumber(0xab_0000_0001);
    }),
    told: [`created "/t" "data" ${acls.length} ${0xff00_00ab}:1 8 ${z} 7000`],
  },
  { name: "delete", type: OpCode.Delete, body: named("/p"), told: [`deleted "/p" ${z}`] },
  { name: "deleteContainer", type: OpCode.DeleteContainer, body: named("/c"), told: [`deleted "/c" ${z}`] },
  { name: "setData", type: OpCode.SetData, body: setData, told: [`dataSet "/p" "data" 4 ${z} 7000`] },
  { name: "reconfig", type: OpCode.Reconfig, body: setData, told: [`dataSet "/p" "data" 4 ${z} 7000`] },
  {
    name: "setACL",
    type: OpCode.SetAcl,
    body: (w) => {
      w.string("/p");
      w.raw(acls);
      w.i32(5);
    },
    told: [`aclSet "/p" ${acls.length} 5 ${z}`],
  },
  {
    name: "createSession",
    type: OpCode.CreateSession,
    body: (w) => w.i32(4000),
    told: ["sessionCreated 1:2 4000"],
  },
  {
    name: "closeSession",
    type: OpCode.CloseSession,
    // Three: a list of two, cut to twelve bytes, would look like a digest alone.
    body: (w) => w.strings(["/a", "/b", "/c"]),
    told: [`sessionClosed 1:2 ${z}`, `deleted "/a" ${z}`, `deleted "/b" ${z}`, `deleted "/c" ${z}`],
  },
  { name: "error", type: OpCode.Error, body: (w) => w.i32(-101), told: [] },
  {
    name: "check",
    type: OpCode.Check,
    body: (w) => {
      w.string("/p");
      w.i32(1);
    },
    told: [],
  },
  {
    name: "multi",
    type: OpCode.Multi,
    body: multi([OpCode.Create, plain], [OpCode.SetData, setData], [OpCode.Delete, named("/p")]),
    told: [
      `created "/p" "data" ${acls.length} 0:0 9 ${z} 7000`,
      `dataSet "/p" "data" 4 ${z} 7000`,
      `deleted "/p" ${z}`,
    ],
  },
  { name: "an empty multi", type: OpCode.Multi, body: multi(), told: [] },
  {
    name: "a failed multi",
    type: OpCode.Multi,
    body: multi([OpCode.Create, plain], [OpCode.Error, (w) => w.i32(-101)]),
    told: [],
  },
];

function multi(...parts: [number, (w: Writer) => void][]): (w: Writer) => void {
  return (w) => {
    w.i32(parts.length);
    for (const [type, body] of parts) {
      const inner = new Writer(16);
      body(inner);
      w.i32(type);
      w.buffer(inner.view());
    }
  };
}

const digest = (w: Writer) => {
  w.i32(digestVersion);
  w.i64(0x1234_5678n);
};

for (const { name, type, body, told, optional } of vectors) {
  test(`${name} is told as it was written, with a digest behind it or not`, () => {
    assert.deepEqual(walk(txn(type, body)), { known: true, told });
    const signed = txn(type, (w) => {
      body(w);
      digest(w);
    });
    assert.deepEqual(walk(signed), { known: true, told });
    const header = txnHeaderAt(signed, 0, signed.length);
    assert.deepEqual({ ...header }, { sessionHi: 1, sessionLo: 2, cxid: 3, zxid: z, timeMs: 7000, type });
  });

  test(`${name} cut anywhere is refused`, () => {
    const whole = txn(type, body);
    for (let length = 0; length < whole.length; length++) {
      const { known } = walk(whole.subarray(0, length));
      // Older writers left these out.
      const mayEnd = (optional !== undefined && length >= whole.length - optional) ||
        (type === OpCode.CloseSession && length < txnHeaderBytes + 4 && length >= txnHeaderBytes) ||
        (name === "a failed multi" && length >= whole.length - 8);
      assert.ok(!known || mayEnd, `${length} of ${whole.length} bytes`);
    }
  });
}

test("create before 3.4 has no count: the parent's own is taken", () => {
  const body = create("/p", (w) => w.bool(true));
  assert.deepEqual(walk(txn(OpCode.Create, body)).told, [
    `created "/p" "data" ${acls.length} 1:2 -1 ${z} 7000`,
  ]);
});

test("closeSession without a list is told alone, with a digest and without", () => {
  for (const body of [() => {}, digest]) {
    assert.deepEqual(walk(txn(OpCode.CloseSession, body)), { known: true, told: [`sessionClosed 1:2 ${z}`] });
  }
  const empty = txn(OpCode.CloseSession, (w) => {
    w.strings([]);
    digest(w);
  });
  assert.deepEqual(walk(empty), { known: true, told: [`sessionClosed 1:2 ${z}`] });
  assert.equal(txnDigestBytes, 12);
});

test("unknown types, also inside a multi, are no txns", () => {
  for (const type of [0, 3, 4, 8, 9, 11, 17, 22, 100, 107, -2, 0x7fff_ffff]) {
    assert.equal(walk(txn(type, plain)).known, false);
    if (type !== OpCode.Multi) assert.equal(walk(txn(OpCode.Multi, multi([type, plain]))).known, false);
  }
  assert.equal(walk(txn(OpCode.Multi, multi([OpCode.Multi, multi()]))).known, false);
});

test("no bytes make a walk throw or take long", () => {
  const types = vectors.map(({ type }) => type);
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 60 }), (type, tail) => {
      walk(txn(type, (w) => w.raw(tail)));
      walk(txn(OpCode.Multi, multi([type, (w) => w.raw(tail)])));
      walk(tail);
    }),
    { numRuns: 5000 },
  );
  // Counts that nothing stands behind.
  for (const count of [0x7fff_ffff, 0x1000_0000, -1, -0x8000_0000]) {
    for (const type of [OpCode.Multi, OpCode.CloseSession]) walk(txn(type, (w) => w.i32(count)));
    walk(txn(OpCode.SetAcl, (w) => {
      w.string("/p");
      w.i32(count);
    }));
  }
});
