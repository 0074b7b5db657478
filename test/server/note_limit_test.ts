/** The log stays readable whatever strangers do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NoteLimit, notesPerWindowMax } from "../../src/server/note_limit.ts";

function stage() {
  const lines: string[] = [];
  const tell = (level: string) => (event: string, message: string) => {
    lines.push(`${level} ${event} ${message}`);
  };
  const limit = new NoteLimit({
    debug: tell("debug"),
    info: tell("info"),
    warn: tell("warn"),
    error: tell("error"),
  });
  const say = (event: string, message: string, nowMs: number) =>
    limit.write({ level: "warn", event, message, fields: {} }, nowMs);
  return { lines, limit, say };
}

test("of one event so many lines a minute are written, and the rest is counted", () => {
  const { lines, limit, say } = stage();
  for (let i = 0; i < 5000; i++) say("packet_first", `no ${i}`, 1000 + i);
  assert.equal(lines.length, notesPerWindowMax);
  limit.settle(60_999);
  assert.equal(lines.length, notesPerWindowMax);
  limit.settle(61_000);
  assert.deepEqual(lines.slice(notesPerWindowMax), [
    `warn packet_first ${5000 - notesPerWindowMax} more of these within a minute were not told`,
  ]);
  say("packet_first", "again", 61_001);
  assert.equal(lines.at(-1), "warn packet_first again");
});

test("other events are not silenced by it, and nothing is said of minutes in which all was told", () => {
  const { lines, limit, say } = stage();
  for (let i = 0; i < 200; i++) say("packet_first", "x", 0);
  say("elected", "Elected to lead", 1);
  assert.equal(lines.at(-1), "warn elected Elected to lead");
  const before = lines.length;
  say("serving", "y", 2);
  limit.settle(200_000);
  assert.deepEqual(lines.slice(before + 1), [
    "warn packet_first 100 more of these within a minute were not told",
  ]);
});
