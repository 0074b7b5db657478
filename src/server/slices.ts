/**
 * Slices: a long answer as bytes, a few milliseconds of work at a time.
 *
 * A list of a million watches takes seconds to make. Whoever sends it asks for one slice, sends that, and
 * asks for the next once it has left and the server has had a turn: so a list holds up nobody, and never
 * takes more memory than a slice.
 */
import type { ClockPort } from "../runtime/ports.ts";
import type { Pieces } from "./words_text.ts";

export const sliceMsMax = 4;
const sliceCharsMax = 64 << 10;
/** The clock is asked only so often. */
const piecesPerLook = 32;

const encoder = new TextEncoder();

/** Yields each slice but the last, which it returns. */
export function* slices(
  pieces: Pieces,
  clock: Pick<ClockPort, "monotonicMs">,
): Generator<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, undefined> {
  let text = "";
  let looksIn = piecesPerLook;
  let endMs = clock.monotonicMs() + sliceMsMax;
  for (const piece of pieces) {
    text += piece;
    if (--looksIn > 0 && text.length < sliceCharsMax) continue;
    looksIn = piecesPerLook;
    if (text.length < sliceCharsMax && clock.monotonicMs() < endMs) continue;
    yield encoder.encode(text);
    text = "";
    endMs = clock.monotonicMs() + sliceMsMax;
  }
  return encoder.encode(text);
}
