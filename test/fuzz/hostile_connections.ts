/**
 * Hostile connections: what goes wrong before, around or instead of a session.
 *
 * Each story opens what it needs, takes a second or two at most, and closes what it opened.
 */
import { bytesOf } from "../../src/core/base/bytes.ts";
import { frameBytesMax } from "../../src/core/base/limits.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import {
  type Bytes,
  bytesOfRecord,
  connectFrame,
  createBody,
  noBody,
  pathWatchBody,
  requestFrame,
  setDataBody,
} from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import type { Random } from "../support/random.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { WireSession } from "../support/wire_session.ts";

/** Returns how many frames, or things in place of one, it sent. */
export type HostileStory = (port: number, random: Random) => Promise<number>;

/** Opens, sends, waits a moment for the server to close, and leaves. */
async function sendAndLeave(port: number, bytes: Uint8Array, waitMs: number): Promise<void> {
  const connection = await WireConnection.open(port);
  connection.write(bytes);
  await connection.untilClosed(waitMs);
  connection.destroy();
}

const firstBytes: readonly Bytes[] = [
  bytesOf("zzzz"),
  bytesOf("RUOK"),
  bytesOf("ru"),
  bytesOf("stmk"),
  bytesOf("ruok\r\n".repeat(100)),
  bytesOf("srvr" + "x".repeat(10_000)),
  new Uint8Array([0xff, 0xf4, 0xff, 0xfd]),
  bytesOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  bytesOf("POST /commands HTTP/1.0\r\nContent-Length: 9999999\r\n\r\n"),
  bytesOf("SSH-2.0-OpenSSH_9.2\r\n"),
  new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...new Array<number>(300).fill(7)]),
  new Uint8Array([0, 0, 0, 0]),
  new Uint8Array([0xff, 0xff, 0xff, 0xff]),
  new Uint8Array([0x80, 0, 0, 0]),
  new Uint8Array([0x7f, 0xff, 0xff, 0xff, 1, 2, 3]),
  new Uint8Array([0, 0x10, 0, 0]),
  new Uint8Array([0, 0, 0, 1, 0]),
  new Uint8Array(100_000),
];

const wrongFirstBytes: HostileStory = async (port, random) => {
  await sendAndLeave(port, random.pick(firstBytes), 50);
  return 1;
};

const wrongHandshake: HostileStory = async (port, random) => {
  const frame = connectFrame({
    timeoutMs: random.pick([0, -1, 2147483647, -2147483648]),
    sessionId: random.pick([0n, 1n, -1n, 1n << 62n, -(1n << 63n)]),
    password: random.pick([null, new Uint8Array(0), random.bytes(16), random.bytes(5000)]),
    lastZxidSeen: random.pick([0n, -1n, 1n << 62n]),
    readOnly: random.pick([true, false, undefined]),
  });
  const bent = frame.slice();
  if (random.percent(50)) bent[4 + random.below(bent.length - 4)] = random.below(256);
  if (random.percent(30)) new DataView(bent.buffer).setInt32(24, random.pick([0x7fffffff, -2, 1 << 20]));
  await sendAndLeave(port, random.percent(20) ? bent.slice(0, random.below(bent.length)) : bent, 20);
  return 1;
};

const longestHandshake: HostileStory = async (port, random) => {
  const length = frameBytesMax + random.pick([0, 1]);
  const first = bytesOfRecord((w) => w.i32(length));
  const connection = await WireConnection.open(port);
  connection.write(first);
  connection.write(new Uint8Array(random.pick([length, length - 1, 1000])));
  await connection.untilClosed(200);
  connection.destroy();
  return 1;
};

/** The request comes with the handshake, before there is a session. */
const impatient: HostileStory = async (port) => {
  const connection = await WireConnection.open(port);
  connection.write(connectFrame({ timeoutMs: 4000, readOnly: false }));
  for (let i = 1; i <= 50; i++) connection.write(requestFrame(i, OpCode.GetData, pathWatchBody("/", true)));
  connection.write(requestFrame(51, OpCode.CloseSession, noBody));
  if (!await connection.untilClosed(5000)) {
    throw new Error("A connection that asked at once was not served and closed");
  }
  if (connection.frames.length !== 52) {
    throw new Error(`52 replies were due, ${connection.frames.length} came`);
  }
  return 51;
};

const byteByByte: HostileStory = async (port, random) => {
  const connection = await WireConnection.open(port);
  const bytes = connectFrame({ timeoutMs: 4000, readOnly: false });
  for (let i = 0; i < bytes.length && !connection.closed; i++) {
    connection.write(bytes.subarray(i, i + 1));
    if (i % 8 === 0) await sleep(5);
  }
  await connection.take(5000);
  const request = requestFrame(1, OpCode.GetData, pathWatchBody("/", false));
  for (let i = 0; i < request.length; i++) connection.write(request.subarray(i, i + 1));
  const reply = await connection.take(5000);
  if (reply === null) throw new Error("A slow but right request got no reply");
  if (random.percent(50)) connection.write(request.subarray(0, 9));
  connection.destroy();
  return 2;
};

/** Open, silent, then gone. */
const silent: HostileStory = async (port, random) => {
  const list: WireConnection[] = [];
  for (let i = 0; i < 20; i++) list.push(await WireConnection.open(port));
  await sleep(random.below(300));
  for (const connection of list) connection.destroy();
  return 20;
};

const quickVisits: HostileStory = async (port, random) => {
  const frame = connectFrame({ timeoutMs: 4000, readOnly: false });
  for (let i = 0; i < 30; i++) {
    const connection = await WireConnection.open(port);
    if (random.percent(60)) connection.write(frame);
    connection.destroy();
  }
  return 30;
};

/** Our side is shut behind the request: that is the end for the server, too. */
const halfClosed: HostileStory = async (port) => {
  const session = await WireSession.connect(port, { timeoutMs: 4000 });
  session.connection.write(requestFrame(1, OpCode.GetData, pathWatchBody("/", false)));
  session.connection.end();
  if (!await session.connection.untilClosed(5000)) throw new Error("A half-closed connection stays open");
  session.drop();
  return 1;
};

/** Asks for a large znode again and again and reads nothing: the server has to stop reading, or cut. */
const neverReads: HostileStory = async (port, random) => {
  const session = await WireSession.connect(port, { timeoutMs: 4000 });
  await session.ask(OpCode.Create, createBody("/fuzz/wide", new Uint8Array(500_000)));
  session.connection.pause();
  const request = requestFrame(-9, OpCode.GetData, pathWatchBody("/fuzz/wide", false));
  // Behind a write the reads wait, and are all due at the moment it commits.
  const write = requestFrame(-9, OpCode.SetData, setDataBody("/fuzz/wide-not", null, -1));
  const writeFirst = random.percent(50);
  let sent = 0;
  for (; sent < 2000 && !session.connection.closed; sent++) {
    session.connection.write(writeFirst && sent % 1000 === 0 ? write : request);
  }
  await sleep(700);
  session.drop();
  return sent;
};

/** Leaves in the middle of the replies to a burst of writes. */
const leavesEarly: HostileStory = async (port) => {
  const session = await WireSession.connect(port, { timeoutMs: 4000 });
  for (let i = 1; i <= 200; i++) {
    session.connection.write(requestFrame(i, OpCode.Create, createBody(`/fuzz/a`, bytesOf("x"), 1)));
    session.connection.write(requestFrame(
      i,
      OpCode.Delete,
      bytesOfRecord((w) => {
        w.string("/fuzz/a");
        w.i32(-1);
      }),
    ));
  }
  await sleep(2);
  session.drop();
  return 400;
};

/** Requests behind a closeSession. */
const afterTheEnd: HostileStory = async (port) => {
  const session = await WireSession.connect(port, { timeoutMs: 4000 });
  session.connection.write(requestFrame(-9, OpCode.CloseSession, noBody));
  for (let i = 0; i < 100; i++) {
    session.connection.write(requestFrame(-9, OpCode.Create, createBody("/fuzz/b", null)));
  }
  if (!await session.connection.untilClosed(5000)) {
    throw new Error("closeSession with requests behind it does not close");
  }
  session.drop();
  return 101;
};

export const hostileStories: readonly (readonly [number, HostileStory])[] = [
  [30, wrongFirstBytes],
  [20, wrongHandshake],
  [3, longestHandshake],
  [3, impatient],
  [2, byteByByte],
  [1, silent],
  [2, quickVisits],
  [2, halfClosed],
  [1, neverReads],
  [2, leavesEarly],
  [2, afterTheEnd],
];
