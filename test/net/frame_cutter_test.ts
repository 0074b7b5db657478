/** Frames cut out of a stream that is itself cut anywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameCutter } from "../../src/net/frame_cutter.ts";

function framed(bodies: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(bodies.map((body) => {
    const head = Buffer.alloc(4);
    head.writeInt32BE(body.length);
    return Buffer.concat([head, body]);
  })));
}

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 20 });

test("however a stream is cut, the frames that come out are those that went in", () => {
  fc.assert(fc.property(bodies, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (list, cuts) => {
    const stream = framed(list);
    const cutter = new FrameCutter(200);
    const found: Uint8Array[] = [];
    for (let at = 0, i = 0; at < stream.length; i++) {
      const next = at + (cuts[i % cuts.length] as number);
      const wrong = cutter.take(stream.slice(at, next), (frame) => {
        found.push(frame);
        return true;
      });
      assert.equal(wrong, null);
      at = next;
    }
    assert.deepEqual(found, list);
  }));
});

test("a length that cannot be is told after the frames before it, and nothing after it", () => {
  for (const length of [0, -1, 201, 0x7fff_ffff]) {
    for (const step of [1, 3, 1000]) {
      const head = Buffer.alloc(4);
      head.writeInt32BE(length);
      const stream = new Uint8Array(
        Buffer.concat([framed([Uint8Array.of(1, 2)]), head, framed([Uint8Array.of(9)])]),
      );
      const cutter = new FrameCutter(200);
      const found: Uint8Array[] = [];
      let wrong: number | null = null;
      for (let at = 0; at < stream.length && wrong === null; at += step) {
        wrong = cutter.take(stream.slice(at, at + step), (frame) => found.push(frame) > 0);
      }
      assert.equal(wrong, length);
      assert.deepEqual(found, [Uint8Array.of(1, 2)]);
    }
  }
});

test("who takes a frame and wants no more gets no more", () => {
  const cutter = new FrameCutter(200);
  let count = 0;
  cutter.take(framed([Uint8Array.of(1), Uint8Array.of(2)]), () => {
    count++;
    return false;
  });
  assert.equal(count, 1);
});
