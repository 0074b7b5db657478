/** Quorum links on loopback: dials and their retries, one write a turn, drains, pauses, limits, ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { quorumUnsentBytesMax } from "../../src/core/base/limits.ts";
import { Link } from "../../src/core/zab/link.ts";
import {
  type DialTarget,
  QuorumLinks,
  type QuorumLinksOptions,
  type QuorumMember,
  type QuorumOwner,
  silentPerAddressMax,
} from "../../src/net/quorum_links.ts";
import type { TcpSocket } from "../../src/runtime/ports.ts";
import { clock } from "../../src/runtime/shared/clock.ts";
import { tcp } from "../../src/runtime/shared/tcp.ts";
import { freePort, sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { TcpCounter } from "../support/tcp_counter.ts";
import { TcpRecorder, until } from "../support/tcp_recorder.ts";

const host = "127.0.0.1";

/** A server's shell: makes links, keeps what they bring, sends after each turn. */
class Shell implements QuorumOwner {
  readonly tcp = new TcpCounter();
  readonly made: { link: Link; from: "accepted" | "dialed" }[] = [];
  readonly received = new Map<Link, Uint8Array[]>();
  readonly closed: Link[] = [];
  readonly drained: Link[] = [];
  readonly notes: string[] = [];
  wanted: DialTarget | null = null;
  turns = 0;
  refuse = false;
  onDrained: (link: Link) => void = () => {};
  onBytes: (link: Link, bytes: Uint8Array) => void = () => {};
  readonly links: QuorumLinks;
  #nesting = 0;
  readonly faults: string[] = [];

  constructor(members: readonly QuorumMember[] = [], options: Partial<QuorumLinksOptions> = {}) {
    const random = new Random(7);
    this.links = new QuorumLinks({
      unsentBytesMax: quorumUnsentBytesMax,
      tcp: this.tcp,
      clock,
      owner: this,
      members,
      listenOnAllAddresses: false,
      keepAlive: false,
      observerMasterPort: -1,
      connectMsMax: 2000,
      randomU32: () => random.u32(),
      ...options,
    });
  }

  #make(remote: string, from: "accepted" | "dialed"): Link {
    const link = new Link(this.made.length + 1, remote);
    this.made.push({ link, from });
    this.received.set(link, []);
    return link;
  }
  accepted(remote: string): Link {
    return this.#make(remote, "accepted");
  }
  dialed(remote: string): Link | null {
    this.wanted = null;
    return this.refuse ? null : this.#make(remote, "dialed");
  }
  linkBytes(link: Link, bytes: Uint8Array): void {
    this.received.get(link)?.push(bytes);
    this.#told(() => this.onBytes(link, bytes));
  }
  linkDrained(link: Link): void {
    this.drained.push(link);
    this.#told(() => this.onDrained(link));
  }
  linkClosed(link: Link): void {
    this.closed.push(link);
  }
  turn(): void {
    this.turns++;
    for (const { link } of this.made) if (link.out.length > 0) this.links.flush(link);
    this.links.dial(this.wanted);
  }
  note(level: string, event: string, message: string): void {
    this.notes.push(`${level} ${event} ${message}`);
  }
  #told(then: () => void): void {
    if (this.#nesting++ > 0) this.faults.push("told while telling");
    then();
    this.#nesting--;
  }

  text(link: Link): string {
    return textOf(new Uint8Array(Buffer.concat(this.received.get(link) ?? [])));
  }
  send(link: Link, text: string): void {
    link.out.raw(bytesOf(text));
    this.turn();
  }
  async stop(): Promise<void> {
    await this.links.stop();
    assert.deepEqual(this.faults, []);
    assert.equal(new Set(this.closed).size, this.closed.length, "each end is told once");
    await until("nothing is open", () => this.tcp.open.size === 0);
  }
}

function member(sid: number, port: number, role: QuorumMember["role"] = "participant"): QuorumMember {
  return { sid, role, addresses: [{ host, port }] };
}

async function pair(): Promise<{ leader: Shell; learner: Shell; up: Link; down: Link }> {
  const leader = new Shell();
  const [port = 0] = await leader.links.listen([{ host, port: 0 }]);
  const learner = new Shell([member(1, port)]);
  learner.wanted = { sid: 1, observerMaster: false };
  learner.turn();
  await until("both have a link", () => leader.made.length === 1 && learner.made.length === 1);
  return { leader, learner, up: learner.made[0]?.link as Link, down: leader.made[0]?.link as Link };
}

async function dialRaw(port: number): Promise<{ socket: TcpSocket; told: TcpRecorder }> {
  const told = new TcpRecorder();
  return { socket: await tcp.connect({ host, port, timeoutMs: 5000 }, told), told };
}

test("a learner reaches its leader, bytes go both ways, each end hears of the end once", async () => {
  const { leader, learner, up, down } = await pair();
  assert.match(up.remote, /^127\.0\.0\.1:\d+$/);
  learner.send(up, "hello");
  await until("it came", () => leader.text(down) === "hello");
  leader.send(down, "welcome");
  await until("it came", () => learner.text(up) === "welcome");
  assert.equal(up.unsentBytes, 0);
  assert.equal(up.out.length, 0);

  down.out.raw(bytesOf("last words"));
  leader.links.close(down);
  leader.links.close(down);
  await until("both are closed", () => leader.closed.length === 1 && learner.closed.length === 1);
  assert.equal(learner.text(up), "welcomelast words");
  // What is written to a link that is gone goes nowhere.
  leader.send(down, "too late");
  assert.equal(down.out.length, 0);
  leader.links.reconcile(down);
  leader.links.close(down);
  await leader.stop();
  await learner.stop();
});

test("a leader that is not there yet is reached as soon as it is, whatever is asked meanwhile", async () => {
  const port = await freePort();
  const learner = new Shell([member(1, port), member(2, await freePort())]);
  learner.wanted = { sid: 1, observerMaster: false };
  for (let i = 0; i < 20; i++) {
    learner.turn();
    await sleep(10);
  }
  const dials = learner.tcp.connects;
  assert.ok(dials >= 4 && dials <= 20, `${dials} dials in 200 ms`);
  const leader = new Shell();
  await leader.links.listen([{ host, port }]);
  const since = performance.now();
  await until("it is reached", () => learner.made.length === 1);
  assert.ok(performance.now() - since < 500);
  await sleep(60);
  assert.equal(learner.made.length, 1, "once");
  assert.equal(leader.made.length, 1);

  // The same wish again is a new one.
  learner.wanted = { sid: 1, observerMaster: false };
  learner.turn();
  await until("a second link", () => learner.made.length === 2);
  await learner.stop();
  await leader.stop();
});

test("a wish that changes is given up, and one that is taken back too", async () => {
  const leader = new Shell();
  const [port = 0] = await leader.links.listen([{ host, port: 0 }]);
  const learner = new Shell([member(1, await freePort()), member(2, port)]);
  learner.links.dial({ sid: 1, observerMaster: false });
  await sleep(20);
  learner.links.dial({ sid: 2, observerMaster: false });
  await until("the second is reached", () => learner.made.length === 1);
  assert.equal(learner.made[0]?.link.remote, `${host}:${port}`);

  for (let i = 0; i < 50; i++) {
    learner.links.dial({ sid: 2, observerMaster: false });
    if (i % 2 === 0) await sleep(0);
    learner.links.dial(null);
  }
  const dials = learner.tcp.connects;
  await sleep(60);
  assert.equal(learner.tcp.connects, dials, "nothing is dialed");
  await until(
    "no socket stays without a link",
    () => learner.tcp.open.size === learner.made.length - learner.closed.length,
  );

  learner.refuse = true;
  const before = learner.made.length;
  learner.links.dial({ sid: 2, observerMaster: false });
  await until("dialed, and not wanted", () => learner.tcp.connects === dials + 1);
  await until("closed", () => learner.tcp.open.size === before - learner.closed.length);
  learner.links.dial({ sid: 9, observerMaster: false });
  assert.match(learner.notes.at(-1) ?? "", /no member has this sid/);
  await learner.stop();
  await leader.stop();
});

test("of several addresses the first that answers wins; names are looked up, unknown ones tried again", async () => {
  const leader = new Shell();
  const [port = 0] = await leader.links.listen([{ host, port: 0 }]);
  const learner = new Shell([{
    sid: 1,
    role: "participant",
    addresses: [
      { host: "no-such-host.invalid", port },
      { host, port: await freePort() },
      { host: "localhost", port },
      { host, port },
    ],
  }, { sid: 2, role: "participant", addresses: [{ host: "no-such-host.invalid", port }] }]);
  learner.links.dial({ sid: 1, observerMaster: false });
  await until("reached", () => learner.made.length === 1);
  await until("one connection is left", () => leader.made.length - leader.closed.length === 1);
  learner.links.dial({ sid: 2, observerMaster: false });
  await sleep(450);
  assert.ok(learner.tcp.connects <= 4 + 4, "a name that nobody knows is not asked for all the time");
  await learner.stop();
  await leader.stop();
});

test("observers ask all voters' hosts in some order, each once before any comes again", async () => {
  const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
  const port = await freePort();
  const members = hosts.map((name, i): QuorumMember => ({
    sid: i + 1,
    role: "participant",
    addresses: [{ host: name, port: 1 }],
  }));
  members.push({ sid: 9, role: "observer", addresses: [{ host: "127.0.0.9", port: 1 }] });
  const master = new Shell();
  await master.links.listen(hosts.map((name) => ({ host: name, port })));
  const observer = new Shell(members, { observerMasterPort: port });
  for (let i = 1; i <= 6; i++) {
    observer.links.dial({ sid: 1, observerMaster: true });
    await until("reached", () => observer.made.length === i);
  }
  const remotes = observer.made.map(({ link }) => link.remote.split(":")[0] ?? "");
  assert.deepEqual(remotes.slice(0, 3).sort(), hosts);
  assert.deepEqual(remotes.slice(3).sort(), hosts);
  await observer.stop();
  await master.stop();
});

test("20 MB go out piece by piece: each drain is told once, and no buffer is written to while it is on its way", async () => {
  const { leader, learner, up, down } = await pair();
  const piece = 256 << 10;
  const pieces = 80;
  let sent = 0;
  let bad = 0;
  let got = 0;
  learner.onBytes = (_link, bytes) => {
    for (let i = 0; i < bytes.length; i++, got++) if (bytes[i] !== (Math.floor(got / piece) & 0xff)) bad++;
    (learner.received.get(up) as Uint8Array[]).length = 0;
  };
  const more = (link: Link) => {
    const at = link.out.room(piece);
    link.out.bytes.fill(sent & 0xff, at, at + piece);
    sent++;
    link.wantsDrain = sent < pieces;
    leader.links.flush(link);
  };
  leader.onDrained = more;
  more(down);
  await until("all came", () => got === piece * pieces, 20_000);
  assert.equal(bad, 0);
  assert.equal(leader.drained.length, pieces - 1);
  assert.equal(down.unsentBytes, 0);
  await learner.stop();
  await leader.stop();
});

test("asked when nothing waits, the drain is told in a turn of its own", async () => {
  const { leader, learner, down } = await pair();
  for (const ask of [() => leader.links.flush(down), () => leader.links.reconcile(down)]) {
    const before = leader.drained.length;
    down.wantsDrain = true;
    ask();
    ask();
    assert.equal(leader.drained.length, before, "not while we call");
    await until("told", () => leader.drained.length === before + 1);
    await sleep(5);
    assert.equal(leader.drained.length, before + 1);
    assert.equal(down.wantsDrain, false);
  }
  // A small write has left at once; it is told all the same.
  down.wantsDrain = true;
  leader.send(down, "x");
  await until("told", () => leader.drained.length === 3);
  await learner.stop();
  await leader.stop();
});

test("a paused link is not read from, its sender sees what waits, and all comes once it goes on", async () => {
  const { leader, learner, up, down } = await pair();
  up.paused = true;
  learner.links.reconcile(up);
  const piece = new Uint8Array(1 << 20);
  const total = 24;
  for (let i = 0; i < total; i++) {
    down.out.raw(piece);
    leader.turn();
    await sleep(1);
  }
  const count = () => (learner.received.get(up) ?? []).reduce((sum, { length }) => sum + length, 0);
  await sleep(50);
  const early = count();
  assert.ok(early < 4 << 20, `${early} bytes came while paused`);
  assert.ok(down.unsentBytes > 0);
  down.wantsDrain = true;
  leader.links.reconcile(down);
  await sleep(20);
  assert.equal(leader.drained.length, 0);
  up.paused = false;
  learner.links.reconcile(up);
  await until("all came", () => count() === total << 20);
  await until("the drain is told", () => leader.drained.length === 1);
  assert.equal(down.unsentBytes, 0);
  await learner.stop();
  await leader.stop();
});

test("a link whose other side reads nothing and does not hang up is closed all the same", async () => {
  const leader = new Shell();
  const [port = 0] = await leader.links.listen([{ host, port: 0 }]);
  const raw = await dialRaw(port);
  raw.socket.pause();
  await until("accepted", () => leader.made.length === 1);
  const link = leader.made[0]?.link as Link;
  link.out.raw(new Uint8Array(16 << 20));
  leader.turn();
  leader.links.close(link);
  await until("closed", () => leader.closed.length === 1, 5000);
  raw.socket.destroy();
  await leader.stop();
});

test("connections that say nothing make room for those that do", async () => {
  const leader = new Shell();
  const [port = 0] = await leader.links.listen([{ host, port: 0 }]);
  const talker = await dialRaw(port);
  talker.socket.write(new Uint8Array(40));
  await until("it spoke", () => leader.received.get(leader.made[0]?.link as Link)?.length === 1);
  const silent = [];
  for (let i = 0; i < silentPerAddressMax + 10; i++) silent.push(await dialRaw(port));
  await until("the oldest silent ones are gone", () => leader.closed.length === 10);
  assert.deepEqual(leader.closed.map(({ number }) => number).sort((a, b) => a - b), [
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
  ]);
  assert.equal(leader.notes.length, 10);
  for (const { socket } of [...silent, talker]) socket.destroy();
  await until("all are closed", () => leader.closed.length === leader.made.length);
  await leader.stop();
});

test("a link that is cut in the middle is closed once, with what came before", async () => {
  const { leader, learner, up, down } = await pair();
  learner.send(up, "half a pack");
  await until("it came", () => leader.text(down) === "half a pack");
  learner.tcp.cut(0);
  await until("both know", () => leader.closed.length === 1 && learner.closed.length === 1);
  await learner.stop();
  await leader.stop();
});
