/** Election links on loopback: who dials whom, knocks, hostile dialers, votes replaced and sent again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, bytesOfHex, hexOf, textOf } from "../../src/core/base/bytes.ts";
import { Writer } from "../../src/core/wire/writer.ts";
import {
  ElectionLinks,
  type ElectionLinksOptions,
  type ElectionMember,
  type ElectionOwner,
  electionPendingMax,
  electionStrangersMax,
} from "../../src/net/election_links.ts";
import type { TcpSocket } from "../../src/runtime/ports.ts";
import { clock } from "../../src/runtime/shared/clock.ts";
import { tcp } from "../../src/runtime/shared/tcp.ts";
import { freePort, sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { TcpCounter } from "../support/tcp_counter.ts";
import { TcpRecorder, until } from "../support/tcp_recorder.ts";

const host = "127.0.0.1";

/** One member's links and all that they tell. */
class Server implements ElectionOwner {
  readonly sid: number;
  readonly tcp = new TcpCounter();
  readonly votes: { from: number; text: string; bytes: number }[] = [];
  readonly notes: string[] = [];
  readonly up = new Set<number>();
  ups = 0;
  downs = 0;
  turns = 0;
  readonly faults: string[] = [];
  readonly links: ElectionLinks;
  #untold = false;

  constructor(sid: number, members: readonly ElectionMember[], options: Partial<ElectionLinksOptions> = {}) {
    this.sid = sid;
    this.links = new ElectionLinks({
      tcp: this.tcp,
      clock,
      owner: this,
      sid,
      members,
      listenOnAllAddresses: false,
      multiAddress: false,
      keepAlive: false,
      connectMsMax: 5000,
      initialMsMax: 5000,
      bindRetries: 20,
      bindPauseMs: 50,
      ...options,
    });
  }

  vote(from: number, bytes: Uint8Array): void {
    this.votes.push({ from, text: textOf(bytes, 0, Math.min(bytes.length, 40)), bytes: bytes.length });
    this.#untold = true;
  }
  voterUp(sid: number): void {
    if (this.up.has(sid)) this.faults.push(`${sid} up twice`);
    this.up.add(sid);
    this.ups++;
    this.#untold = true;
  }
  voterDown(sid: number): void {
    if (!this.up.delete(sid)) this.faults.push(`${sid} down without up`);
    this.downs++;
    this.#untold = true;
  }
  turn(): void {
    this.turns++;
    this.#untold = false;
  }
  note(level: string, event: string, message: string): void {
    this.notes.push(`${level} ${event} ${message}`);
  }

  async stop(): Promise<void> {
    await this.links.stop();
    assert.deepEqual(this.faults, []);
    assert.equal(this.#untold, false, "whatever was told was followed by a turn");
  }

  last(from: number): string | undefined {
    return this.votes.findLast((vote) => vote.from === from)?.text;
  }
}

async function members(...sids: number[]): Promise<ElectionMember[]> {
  const list: ElectionMember[] = [];
  for (const sid of sids) list.push({ sid, addresses: [{ host, port: await freePort() }] });
  return list;
}

function portOf(list: readonly ElectionMember[], sid: number): number {
  return list.find((member) => member.sid === sid)?.addresses[0]?.port ?? 0;
}

function say(server: Server, text: string, to: readonly ElectionMember[]): void {
  for (const { sid } of to) if (sid !== server.sid) server.links.sendVote(sid, bytesOf(text));
}

/** A socket that speaks bytes of the election port by hand. */
async function dialRaw(port: number): Promise<{ socket: TcpSocket; told: TcpRecorder }> {
  const told = new TcpRecorder();
  return { socket: await tcp.connect({ host, port, timeoutMs: 5000 }, told), told };
}

/** A listener that stands for a member and keeps what it is sent. */
async function listenRaw(port: number, prepare: (socket: TcpSocket, told: TcpRecorder) => void = () => {}) {
  const sides: { socket: TcpSocket; told: TcpRecorder }[] = [];
  const listener = await tcp.listen({ host, port, backlog: -1, keepAlive: false }, (socket) => {
    const told = new TcpRecorder();
    sides.push({ socket, told });
    prepare(socket, told);
    return told;
  });
  const close = async () => {
    for (const { socket } of sides) socket.destroy();
    await listener.close();
  };
  return { sides, close };
}

function initialBytes(
  sid: bigint,
  text: string,
  protocol = -65536n,
  length = bytesOf(text).length,
): Uint8Array {
  const writer = new Writer();
  writer.i64(protocol);
  writer.i64(sid);
  writer.i32(length);
  writer.raw(bytesOf(text));
  return writer.copy();
}

function frame(text: string, length = bytesOf(text).length): Uint8Array {
  const writer = new Writer();
  writer.i32(length);
  writer.raw(bytesOf(text));
  return writer.copy();
}

function all(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

for (const order of [[1, 2, 3], [3, 2, 1], [2, 3, 1]]) {
  test(`three members that start as ${order} meet, one connection a pair, and hear each other's last vote`, async () => {
    const list = await members(1, 2, 3);
    const servers: Server[] = [];
    for (const sid of order) {
      const server = new Server(sid, list);
      servers.push(server);
      await server.links.listen();
      say(server, `vote of ${sid}`, list);
      await sleep(30);
    }
    await until(
      "all hear all",
      () =>
        servers.every((one) =>
          servers.every((other) => one === other || one.last(other.sid) === `vote of ${other.sid}`)
        ),
    );
    await until("two connections each", () => servers.every(({ tcp }) => tcp.open.size === 2));
    await sleep(300);
    assert.ok(servers.every(({ tcp, up }) => tcp.open.size === 2 && up.size === 2));
    for (const server of servers) await server.stop();
  });
}

test("the smaller sid knocks with one initial message and hangs up; called back, it says what it had to say", async () => {
  const list = await members(1, 2);
  const raw = await listenRaw(portOf(list, 2));
  const one = new Server(1, list);
  await one.links.listen();
  one.links.sendVote(2, bytesOf("hello"));
  await until("the knock", () => (raw.sides[0]?.told.endedCount ?? 0) === 1);
  const knock = raw.sides[0] as (typeof raw.sides)[0];
  assert.equal(
    hexOf(all(knock.told.chunks)),
    hexOf(initialBytes(1n, `${host}:${portOf(list, 1)}`)),
  );
  assert.equal(knock.told.chunks.length, 1, "in one piece");
  knock.socket.destroy();

  const back = await dialRaw(portOf(list, 1));
  back.socket.write(initialBytes(2n, `${host}:${portOf(list, 2)}`));
  await until("its vote", () => back.told.byteCount === 9);
  assert.equal(hexOf(all(back.told.chunks)), hexOf(frame("hello")));
  assert.equal(raw.sides.length, 1, "it knocked once");
  assert.deepEqual([...one.up], [2]);
  await one.stop();
  await until("it hung up", () => back.told.closedCount === 1 || back.told.endedCount === 1);
  back.socket.destroy();
  await raw.close();
});

test("a knock is answered at the address it tells, a wildcard at the configured one, and ends what was there", async () => {
  const list = await members(1, 2);
  const elsewhere = await freePort();
  const configured = await listenRaw(portOf(list, 1));
  const told = await listenRaw(elsewhere);
  const two = new Server(2, list);
  await two.links.listen();

  const first = await dialRaw(portOf(list, 2));
  first.socket.write(initialBytes(1n, `0.0.0.0:1|[::]:1`, -65535n));
  first.socket.end();
  await until("a call-back to the configuration's address", () => configured.sides.length === 1);
  await until("it is up", () => two.up.has(1));

  const second = await dialRaw(portOf(list, 2));
  second.socket.write(initialBytes(1n, `0.0.0.0:1|${host}:${elsewhere}`, -65535n));
  second.socket.end();
  await until("a call-back to where it is now", () => told.sides.length === 1);
  await until("the old one is closed", () => configured.sides[0]?.told.endedCount === 1);
  await until("it is up again", () => two.up.has(1) && two.ups === 2);
  assert.equal(two.downs, 1);

  // Where nobody listens, the configured address is next.
  await told.close();
  const third = await dialRaw(portOf(list, 2));
  third.socket.write(initialBytes(1n, `${host}:${elsewhere}`));
  third.socket.end();
  await until("the configured one is tried", () => configured.sides.length === 2);
  await two.stop();
  await configured.close();
});

test("100 times somebody is cut off or started anew at random: the pairs come back, one connection each", async () => {
  const random = new Random(20260);
  const list = await members(1, 2, 3);
  const servers = new Map<number, Server>();
  for (const { sid } of list) {
    const server = new Server(sid, list);
    servers.set(sid, server);
    await server.links.listen();
  }
  for (let round = 0; round < 100; round++) {
    const victim = servers.get(1 + random.below(3)) as Server;
    const kind = random.below(4);
    if (kind === 0) {
      await victim.stop();
      const again = new Server(victim.sid, list);
      servers.set(victim.sid, again);
      await again.links.listen();
    } else for (let i = 0; i < kind; i++) victim.tcp.cut(random.below(2));
    if (random.percent(50)) await sleep(random.below(20));
    const now = [...servers.values()];
    for (const server of now) say(server, `${server.sid} in ${round}`, list);
    const whole = () =>
      now.every((one) =>
        one.up.size === 2 && one.tcp.open.size === 2 &&
        now.every((other) => one === other || one.last(other.sid) === `${other.sid} in ${round}`)
      );
    const deadline = performance.now() + 15_000;
    // The election asks again and again while it looks for a leader.
    for (let i = 0; !whole(); i++) {
      if (i % 20 === 19) { for (const server of now) server.links.connectAll(); }
      assert.ok(
        performance.now() < deadline,
        `round ${round}: ${now.map((one) => `${one.sid}: ${[...one.up]} ${one.tcp.open.size}`)}`,
      );
      await sleep(3);
    }
  }
  for (const server of servers.values()) await server.stop();
});

test("a connection on which votes go out and nothing comes back is taken for dead, and made anew", async () => {
  const list = await members(1, 2);
  const [one, two] = [new Server(1, list), new Server(2, list)];
  await one.links.listen();
  await two.links.listen();
  say(two, "first", list);
  await until("they meet", () => two.up.has(1) && one.last(2) === "first");
  for (let i = 0; i < 20 && two.downs === 0; i++) {
    say(two, `vote ${i}`, list);
    await sleep(100);
  }
  await until("they meet again", () => two.ups === 2 && one.up.has(2));
  say(two, "last", list);
  await until("the new one carries", () => one.last(2) === "last");
  // Whoever is answered keeps what it has.
  for (let i = 0; i < 20; i++) {
    say(two, `more ${i}`, list);
    say(one, `answer ${i}`, list);
    await sleep(100);
  }
  assert.equal(two.ups, 2);
  await one.stop();
  await two.stop();
});

test("an initial message may come byte by byte, with a vote right behind it", async () => {
  const list = await members(2, 3);
  const two = new Server(2, list);
  const [port = 0] = await two.links.listen();
  const three = await dialRaw(port);
  for (const byte of all([initialBytes(3n, `${host}:${portOf(list, 3)}`), frame("slow")])) {
    three.socket.write(Uint8Array.of(byte));
    await sleep(1);
  }
  await until("the vote", () => two.last(3) === "slow");
  two.links.sendVote(3, bytesOf("answer"));
  await until("the answer", () => three.told.byteCount === 10);
  three.socket.destroy();
  await until("it is down", () => !two.up.has(3));
  await two.stop();
});

test("V2, the oldest form and an observer without id are taken, and answered", async () => {
  const list = await members(1, 2, 3, 5);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  const cases: [Uint8Array, number][] = [
    [initialBytes(2n, `${host}:1|[::1]:2|name:3`, -65535n), 2],
    [initialBytes(3n, `a:1|b:2`, -65536n), 3],
    [bytesOfHex("0000000000000005"), 5],
    [initialBytes(0x7fff_ffff_ffff_ffffn, "o:1"), -1],
    [bytesOfHex("7fffffffffffffff"), -2],
    [initialBytes(77n, "stranger:1"), 77],
  ];
  for (const [bytes, sid] of cases) {
    const side = await dialRaw(port);
    side.socket.write(all([bytes, frame(`I am ${sid}`)]));
    await until(`the vote of ${sid}`, () => one.last(sid) === `I am ${sid}`);
    one.links.sendVote(sid, bytesOf("yes"));
    await until(`the answer to ${sid}`, () => side.told.byteCount === 7);
    assert.equal(one.up.has(sid), list.some((member) => member.sid === sid), "of members alone it is told");
    side.socket.destroy();
    await until(`${sid} is gone`, () => !one.links.isUp(sid));
  }
  assert.deepEqual(one.links.connected(), []);
  await one.stop();
});

test("what is no initial message is closed: lengths, versions, sids, addresses, our own sid", async () => {
  const list = await members(1, 2);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  const refused: [string, Uint8Array][] = [
    ["length 0", initialBytes(2n, "", -65536n, 0)],
    ["length -1", initialBytes(2n, "", -65536n, -1)],
    ["length 2049", initialBytes(2n, "x".repeat(2049))],
    ["version -1", initialBytes(2n, "a:1", -1n)],
    ["version -65537", initialBytes(2n, "a:1", -65537n)],
    ["sid -5", initialBytes(-5n, "a:1")],
    ["sid 2^60", initialBytes(1n << 60n, "a:1")],
    ["no port", initialBytes(2n, "nothing")],
    ["port 99999", initialBytes(2n, "a:99999")],
    ["HTTP", bytesOf("GET / HTTP/1.1\r\n\r\n")],
    ["our own sid", initialBytes(1n, "a:1")],
  ];
  for (const [what, bytes] of refused) {
    const side = await dialRaw(port);
    side.socket.write(bytes);
    // HTTP is a sid of the oldest form that no number holds exactly.
    await until(what, () => side.told.endedCount + side.told.closedCount > 0);
    side.socket.destroy();
  }
  assert.equal(one.votes.length, 0);
  assert.equal(one.ups, 0);
  assert.ok(one.notes.length <= 10, "strangers do not fill the log");
  await until("nothing is left", () => one.tcp.open.size === 0);
  await one.stop();
});

test("a vote of 0, -1 or more than 512 KiB ends its connection; of exactly 512 KiB it is one", async () => {
  const list = await members(1, 2);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  for (const length of [0, -1, 524_289, 0x7fff_ffff, -0x8000_0000]) {
    const side = await dialRaw(port);
    side.socket.write(all([initialBytes(2n, "a:1"), frame("first"), frame("", length), frame("later")]));
    await until(`${length} is refused`, () => side.told.endedCount + side.told.closedCount > 0);
    side.socket.destroy();
    assert.equal(one.last(2), "first");
    assert.ok(!one.up.has(2));
  }
  const side = await dialRaw(port);
  side.socket.write(all([initialBytes(2n, "a:1"), frame("x".repeat(524_288)), frame("y")]));
  await until("both come", () => one.last(2) === "y");
  assert.equal(one.votes.at(-2)?.bytes, 524_288);
  side.socket.destroy();
  await until("down", () => !one.up.has(2));
  await one.stop();
});

test("a vote that could not leave yet is replaced by a newer one, and the newest arrives", async () => {
  const list = await members(1, 2);
  const raw = await listenRaw(portOf(list, 1), (socket) => socket.pause());
  const two = new Server(2, list);
  await two.links.listen();
  const body = new Uint8Array(400_000);
  two.links.sendVote(1, body);
  await until("it is up", () => two.up.has(1));
  const sent = 60;
  for (let i = 1; i <= sent; i++) {
    body[0] = i;
    two.links.sendVote(1, body);
    await sleep(1);
  }
  const side = raw.sides[0] as (typeof raw.sides)[0];
  side.socket.resume();
  const frames = () => {
    const bytes = all(side.told.chunks);
    const found: number[] = [];
    for (let at = 20 + bytesOf(`${host}:${portOf(list, 2)}`).length; at + 4 < bytes.length; at += 400_004) {
      found.push(bytes[at + 4] as number);
    }
    return found;
  };
  await until("the last one is there", () => frames().at(-1) === sent);
  const found = frames();
  assert.ok(found.length < sent, `${found.length} of ${sent} were sent`);
  assert.deepEqual(found, [...found].sort((a, b) => a - b), "in order");
  await two.stop();
  await raw.close();
});

test("on a new connection the last vote is sent again, or the newer one that waits", async () => {
  const list = await members(1, 2);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  const introduction = initialBytes(2n, `${host}:${portOf(list, 2)}`);
  const hear = async (expected: string) => {
    const side = await dialRaw(port);
    side.socket.write(introduction);
    await until(expected, () => hexOf(all(side.told.chunks)) === hexOf(frame(expected)));
    return side;
  };
  one.links.sendVote(2, bytesOf("a"));
  const first = await hear("a");
  // It replaces the first without a word, as a server that was started anew would.
  const second = await hear("a");
  await until("the first is closed", () => first.told.endedCount === 1);
  first.socket.destroy();
  second.socket.destroy();
  await until("down", () => !one.up.has(2));
  one.links.sendVote(2, bytesOf("b"));
  one.links.sendVote(2, bytesOf("c"));
  const third = await hear("c");
  await sleep(30);
  assert.equal(third.told.byteCount, 5, "once");
  third.socket.destroy();
  await until("down", () => !one.up.has(2));
  assert.equal(one.ups, 3);
  await one.stop();
});

test("members that are down, or whose name nobody knows, cost a line in the log and little else", async () => {
  const [own, gone] = await members(3, 1);
  const list = [own, gone, {
    sid: 2,
    addresses: [{ host: "no-such-host.invalid", port: 1 }],
  }] as ElectionMember[];
  const three = new Server(3, list);
  await three.links.listen();
  for (let i = 0; i < 100; i++) {
    say(three, `try ${i}`, list);
    three.links.connectAll();
    await sleep(10);
  }
  assert.equal(
    three.notes.filter((note) => note.includes("election_unreachable") && note.includes(" to 1 ")).length,
    1,
  );
  assert.ok(three.tcp.connects < 40, `${three.tcp.connects} dials in a second`);

  const one = new Server(1, list);
  await one.links.listen();
  say(one, "back", list);
  await until("they meet", () => one.last(3) === "try 99" && three.last(1) === "back");
  assert.ok(three.notes.some((note) => note.includes("election_reached")));
  await one.stop();
  await three.stop();
});

test("of several addresses any that answers will do", async () => {
  const [one, two] = await members(1, 2) as [ElectionMember, ElectionMember];
  const dead = await freePort();
  const list = [{ sid: 1, addresses: [{ host, port: dead }, ...one.addresses] }, two];
  const raw = await listenRaw(portOf([one], 1));
  const server = new Server(2, list, { multiAddress: true });
  await server.links.listen();
  server.links.sendVote(1, bytesOf("x"));
  await until("it is up", () => server.up.has(1));
  const expected = all([initialBytes(2n, `${host}:${portOf(list, 2)}`, -65535n), frame("x")]);
  await until("all came", () => (raw.sides[0]?.told.byteCount ?? 0) === expected.length);
  assert.equal(hexOf(all(raw.sides[0]?.told.chunks ?? [])), hexOf(expected));
  await server.stop();
  await raw.close();
});

test("who says nothing is closed after a while, and cannot keep members out by numbers", async () => {
  const list = await members(1, 2);
  const one = new Server(1, list, { initialMsMax: 1500 });
  const [port = 0] = await one.links.listen();
  const silent = [];
  for (let i = 0; i < electionPendingMax + 20; i++) silent.push(await dialRaw(port));
  const two = await dialRaw(port);
  two.socket.write(initialBytes(2n, "a:1"));
  await until("the member is in", () => one.up.has(2));
  assert.ok(one.tcp.open.size <= electionPendingMax + 1);
  await until("only the member is left", () => one.tcp.open.size === 1);
  for (const { socket } of silent) socket.destroy();
  two.socket.destroy();
  await until("down", () => !one.up.has(2));
  await one.stop();
});

test("of servers that are no members only so many are let in; members always", async () => {
  const list = await members(1, 2);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  const sides = [];
  for (let i = 0; i < electionStrangersMax + 10; i++) {
    const side = await dialRaw(port);
    sides.push(side);
    side.socket.write(all([initialBytes(BigInt(100 + i), "a:1"), frame(`${i}`)]));
  }
  const two = await dialRaw(port);
  two.socket.write(initialBytes(2n, "a:1"));
  await until("the member is in", () => one.up.has(2));
  await until("the others are out", () => one.tcp.open.size === electionStrangersMax + 1);
  assert.equal(one.votes.length, electionStrangersMax);
  for (const { socket } of [...sides, two]) socket.destroy();
  await until("all are gone", () => one.links.connected().length === 0);
  await one.stop();
});

test("a port that is taken is tried again; in the end the error says which", async () => {
  const list = await members(1, 2);
  const raw = await listenRaw(portOf(list, 1));
  const one = new Server(1, list, { bindRetries: 2, bindPauseMs: 20 });
  await assert.rejects(one.links.listen(), /EADDRINUSE.*the election port, tried 3 times/);
  await one.stop();
  const again = new Server(1, list, { bindRetries: 50, bindPauseMs: 20 });
  const listening = again.links.listen();
  await sleep(60);
  await raw.close();
  assert.deepEqual(await listening, [portOf(list, 1)]);
  await again.stop();
});

test("on all interfaces, and stopped in the middle of everything", async () => {
  const list = await members(1, 2, 3);
  for (let i = 0; i < 10; i++) {
    const servers = list.map(({ sid }) => new Server(sid, list, { listenOnAllAddresses: true }));
    for (const { links } of servers) await links.listen();
    for (const server of servers) say(server, "x", list);
    await sleep(i);
    for (const { links } of servers) await links.stop();
    await until("nothing is open", () => servers.every(({ tcp }) => tcp.open.size === 0));
  }
});

test("whatever 300 dialers say, true, mutated or nonsense, members meet and nothing stays open", async () => {
  const random = new Random(4711);
  const list = await members(1, 2, 3);
  const one = new Server(1, list);
  const [port = 0] = await one.links.listen();
  const sides = [];
  for (let i = 0; i < 300; i++) {
    const side = await dialRaw(port);
    sides.push(side);
    // Sids around ours: knocks, members, strangers, ourselves.
    const bytes = all([
      initialBytes(BigInt(random.below(6)), `${host}:${1 + random.below(3)}`),
      frame("x"),
      frame("yy"),
    ]);
    for (let n = random.below(4); n > 0; n--) bytes[random.below(bytes.length)] = random.below(256);
    const end = random.percent(30) ? random.below(bytes.length) : bytes.length;
    side.socket.write(bytes.slice(0, end));
    const way = random.below(10);
    if (way < 3) side.socket.end();
    else if (way < 5) side.socket.destroy();
    one.links.sendVote(random.below(6), bytesOf("answer"));
  }
  const two = new Server(2, list);
  await two.links.listen();
  say(one, "one", list);
  say(two, "two", list);
  await until("they meet", () => one.last(2) === "two" && two.last(1) === "one");
  for (const { socket } of sides) socket.destroy();
  await until("all others are gone", () => one.tcp.open.size === 1);
  await two.stop();
  await one.stop();
});
