/**
 * What one client, or all together, can make a member keep is bounded in each state of a connection and
 * in each part that a member plays: replies that nobody reads, requests that wait, events, watches.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  outstandingRequestsDefault,
  replyBytesMax,
  unsentBytesMax,
  unsentBytesPause,
  unsentTotalMax,
  waitingBytesPause,
} from "../../../src/core/base/limits.ts";
import { bytesOf } from "../../../src/core/base/bytes.ts";
import { type Connection, ConnectionState } from "../../../src/core/peer/connection.ts";
import type { Peer } from "../../../src/core/peer/peer.ts";
import { ErrorCode } from "../../../src/core/wire/errors.ts";
import { OpCode } from "../../../src/core/wire/opcodes.ts";
import { Reader } from "../../../src/core/wire/reader.ts";
import { aclOpen } from "../../../src/core/wire/records.ts";
import { readConnectReply, readReplyHeader } from "../../../src/core/wire/replies.ts";
import {
  writeCreateRequest,
  writePathRequest,
  writeSetDataRequest,
  writeSetWatchesRequest,
  writeWatchableRequest,
  writeWatchTypeRequest,
} from "../../../src/core/wire/requests.ts";
import type { Writer } from "../../../src/core/wire/writer.ts";
import { broadcasting, following, type LoneMember } from "../zab/lone_member.ts";
import {
  ack,
  bytes,
  commit,
  createTxn,
  inform,
  ping,
  proposal,
  revalidated,
  sessionTxn,
  sync,
  z,
} from "../zab/told.ts";
import { Driver, type DriverLine } from "./driver.ts";

const value = new Uint8Array(100_000);
const reads = 300;

/** A znode of 100 kB, as if it had been there before. */
function plant(peer: Peer): void {
  const path = bytesOf("/m");
  assert.notEqual(peer.tree.create(path, 0, path.length, -1, 0, 0, 0, 0, 0, -1, 1, 1), 0);
  peer.tree.setDataQuietly(peer.tree.findText("/m"), value);
}

/** One client's side, of whatever member. */
interface Line {
  readonly connection: Connection;
  isSlow: boolean;
  frames: Uint8Array[];
  closed: boolean;
}

interface Stage {
  readonly peer: Peer;
  open(): Line;
  connect(line: Line, id?: bigint, password?: Uint8Array | null): void;
  send(line: Line, op: number, write: (w: Writer) => void): void;
  /** Everything that is in flight is decided. */
  decide(): void;
  turn(): void;
}

function alone(): Stage {
  const driver = new Driver();
  return {
    peer: driver.peer,
    open: () => driver.open(),
    connect: (line, id = 0n, password = null) => (line as DriverLine).connectRequest(id, password),
    send: (line, op, write) => void (line as DriverLine).send(op, write),
    decide: () => driver.settle(),
    turn: () => driver.drain(),
  };
}

function stageOf(member: LoneMember, decide: () => void): Stage {
  const clients = new Map<Line, ReturnType<LoneMember["client"]>>();
  const of = (line: Line) => {
    const client = clients.get(line);
    assert.ok(client !== undefined);
    return client;
  };
  return {
    peer: member.peer,
    open: () => {
      const client = member.client();
      clients.set(client, client);
      return client;
    },
    connect: (line, id = 0n, password = null) => of(line).connect(id, password),
    send: (line, op, write) => void of(line).send(op, bytes(write)),
    decide,
    turn: () => member.turn(),
  };
}

function leading(): Stage {
  // The znode that is planted is in no txn, and a leader whose tree is wrong hands over.
  const { member, followers } = broadcasting({ sid: 3, digestEnabled: false });
  return stageOf(member, () => {
    const { ledger } = member.peer;
    const first = Math.max(ledger.committed, z(member.peer.epochs.current, 0)) + 1;
    for (let zxid = first; zxid <= ledger.proposed; zxid++) {
      for (const far of followers) far.send(ack(zxid));
    }
    for (const far of followers) {
      for (const line of far.take()) if (line.startsWith("PING")) far.send(ping(ledger.committed));
    }
  });
}

/** The leader of a learner takes all that is asked of it. */
function learning(observes: boolean): Stage {
  const { member, leader } = observes ? following({ sid: 4, observers: [4] }) : following({ sid: 1 });
  let counter = 0;
  const tell = (txn: Uint8Array) =>
    observes ? leader.send(inform(txn)) : leader.send(proposal(txn), commit(z(1, counter)));
  return stageOf(member, () => {
    for (const line of leader.take()) {
      const [, op = "", hex = "0x0", cxid = "0"] =
        /^REQUEST (\w+)(?: \S+)? of (0x[0-9a-f]+), cxid (\d+)/.exec(line) ?? [];
      const of = { session: BigInt(hex), cxid: Number(cxid) };
      if (op === "createSession") tell(sessionTxn(z(1, ++counter), of.session));
      else if (op === "create") tell(createTxn(z(1, ++counter), "/w", of));
      else if (op === "sync") leader.send(sync);
      const [, returning] = /^REVALIDATE.*?(0x[0-9a-f]+)/.exec(line) ?? [];
      if (returning !== undefined) leader.send(revalidated(BigInt(returning), true));
    }
  });
}

const roles: Readonly<Record<string, () => Stage>> = {
  standalone: alone,
  leader: leading,
  follower: () => learning(false),
  observer: () => learning(true),
};

function opened(stage: Stage): Line {
  const line = stage.open();
  stage.connect(line);
  stage.decide();
  assert.equal(line.connection.state, ConnectionState.Open);
  return line;
}

/** How a connection comes into each state, from which `decide` brings it on; null where a role has no such state. */
const states: Readonly<Record<string, (stage: Stage, role: string) => Line | null>> = {
  "a session is being made": (stage) => {
    const line = stage.open();
    stage.connect(line);
    assert.equal(line.connection.state, ConnectionState.Opening);
    return line;
  },
  "a session comes back": (stage, role) => {
    const before = opened(stage);
    const { sessionId, password } = readConnectReply(new Reader(before.frames[0]));
    const line = stage.open();
    stage.connect(line, sessionId, password);
    const isAsked = role === "follower" || role === "observer";
    assert.equal(line.connection.state, isAsked ? ConnectionState.Opening : ConnectionState.Open);
    return line;
  },
  "open": opened,
  "behind a write": (stage) => {
    const line = opened(stage);
    stage.send(line, OpCode.Create, (w) => writeCreateRequest(w, "/w", null, aclOpen, 0));
    assert.equal(line.connection.order.outstanding, 1);
    return line;
  },
  "behind a sync": (stage, role) => {
    if (role === "standalone") return null;
    const line = opened(stage);
    stage.send(line, OpCode.Sync, (w) => writePathRequest(w, "/m"));
    return line;
  },
  "closing": (stage) => {
    const line = opened(stage);
    stage.send(line, OpCode.CloseSession, () => {});
    assert.equal(line.connection.state, ConnectionState.Closing);
    return line;
  },
  "its session expires": (stage) => {
    const line = opened(stage);
    assert.ok(line.connection.session !== null);
    line.connection.session.closing = true;
    return line;
  },
};

for (const [role, make] of Object.entries(roles)) {
  test(`what a client of a ${role} piles up is bounded in each state of its connection`, () => {
    for (const [state, bring] of Object.entries(states)) {
      const stage = make();
      plant(stage.peer);
      const line = bring(stage, role);
      if (line === null) continue;
      const before = line.frames.length;
      line.isSlow = true;
      const check = (when: string): void => {
        const { peer } = stage;
        const owed = line.connection.flow.owed;
        const told =
          `${state}, ${when}: ${owed} bytes unread, ${peer.waitingBytes} of ${peer.outstanding} wait`;
        assert.ok(owed <= unsentBytesPause + 2 * value.length, told);
        assert.ok(peer.waitingBytes <= waitingBytesPause, told);
        assert.ok(peer.outstanding <= outstandingRequestsDefault, told);
        assert.ok(peer.unsentBytes <= unsentBytesPause + 3 * value.length, told);
      };
      for (let i = 0; i < reads; i++) {
        stage.send(line, OpCode.GetData, (w) => writeWatchableRequest(w, "/m", false));
      }
      check("asked");
      stage.decide();
      check("decided");
      const isServed = state !== "closing" && state !== "its session expires";
      line.isSlow = false;
      stage.peer.outbox.touch(line.connection);
      stage.turn();
      assert.equal(line.closed, state === "closing" && role !== "follower" && role !== "observer", state);
      if (!isServed) continue;
      const xids = line.frames.slice(before).flatMap((frame) => {
        const { xid } = readReplyHeader(new Reader(frame));
        return frame.length > value.length ? [xid] : [];
      });
      assert.equal(xids.length, reads, state);
      assert.deepEqual(xids, [...xids].sort((a, b) => a - b), state);
      assert.deepEqual([stage.peer.outstanding, stage.peer.unsentBytes], [0, 0], state);
    }
  });
}

test("reads between two writes never see the second, and are bounded where they grew", () => {
  for (const [count, isClosed] of [[10, false], [400, true]] as const) {
    const driver = new Driver();
    const line = driver.connect();
    line.ask(OpCode.Create, (w) => writeCreateRequest(w, "/m", null, aclOpen, 0));
    line.isSlow = true;
    line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/m", value, -1));
    for (let i = 0; i < count; i++) line.send(OpCode.GetData, (w) => writeWatchableRequest(w, "/m", false));
    line.send(OpCode.SetData, (w) => writeSetDataRequest(w, "/m", null, -1));
    driver.settle();
    assert.equal(line.closed, isClosed);
    assert.ok(driver.peer.unsentBytes <= replyBytesMax + 2 * value.length);
    if (isClosed) continue;
    line.isSlow = false;
    driver.peer.outbox.touch(line.connection);
    driver.drain();
    const lengths = line.take().map(({ length }) => length > value.length);
    assert.deepEqual(lengths, [false, ...new Array<boolean>(count).fill(true), false]);
  }
});

const longPath = `/${"x".repeat(900_000)}`;

function watching(driver: Driver): DriverLine {
  const line = driver.connect();
  line.ask(OpCode.AddWatch, (w) => writeWatchTypeRequest(w, "/", 1));
  line.isSlow = true;
  return line;
}

test("an event is in memory once, however many do not read it, and who reads gets it in its order", () => {
  const driver = new Driver();
  const lines = Array.from({ length: 50 }, () => watching(driver));
  const writer = driver.connect();
  for (let i = 0; i < 20; i++) {
    if (i === 0) writer.ask(OpCode.Create, (w) => writeCreateRequest(w, longPath, null, aclOpen, 0));
    else writer.ask(OpCode.SetData, (w) => writeSetDataRequest(w, longPath, null, -1));
    // A reply in between: what comes behind must not overtake it.
    for (const line of lines) line.send(OpCode.GetAllChildrenNumber, (w) => writePathRequest(w, "/"));
  }
  assert.ok(driver.peer.unsentBytes < 20_000_000, `${driver.peer.unsentBytes}`);
  for (const line of lines) {
    assert.ok(line.connection.flow.owed > 18_000_000);
    line.isSlow = false;
    driver.peer.outbox.touch(line.connection);
  }
  driver.drain();
  assert.equal(driver.peer.unsentBytes, 0);
  for (const line of lines) {
    const xids = line.take().map((frame) => readReplyHeader(new Reader(frame)).xid);
    assert.deepEqual(xids.filter((xid) => xid === -1).length, 20);
    const replies = xids.filter((xid) => xid !== -1);
    assert.deepEqual(replies, [...replies].sort((a, b) => a - b));
  }
});

test("a client that leaves too many events unread is cut off, and its memory is free at once", () => {
  const driver = new Driver();
  const lines = [watching(driver), watching(driver)];
  const writer = driver.connect();
  writer.ask(OpCode.Create, (w) => writeCreateRequest(w, longPath, null, aclOpen, 0));
  let most = 0;
  for (let i = 0; lines.some(({ closed }) => !closed); i++) {
    assert.ok(i < 1.2 * unsentBytesMax / longPath.length);
    writer.ask(OpCode.SetData, (w) => writeSetDataRequest(w, longPath, null, -1));
    most = Math.max(most, driver.peer.unsentBytes);
  }
  assert.ok(most <= unsentBytesMax + 1_000_000, `${most}`);
  assert.equal(driver.peer.unsentBytes, 0);
  assert.equal(driver.peer.counters.connectionsSlow, 2);
  assert.equal(driver.notes.filter(({ event }) => event === "reader_slow").length, 2);
});

test("when all together leave too much unread, those furthest behind are cut off first", () => {
  const driver = new Driver();
  const writer = driver.connect();
  writer.ask(OpCode.Create, (w) => writeCreateRequest(w, "/m", new Uint8Array(1_000_000), aclOpen, 0));
  writer.ask(OpCode.Create, (w) => writeCreateRequest(w, "/s", new Uint8Array(500_000), aclOpen, 0));
  const ask = (path: string): DriverLine => {
    const line = driver.connect();
    line.isSlow = true;
    line.send(OpCode.GetData, (w) => writeWatchableRequest(w, path, false));
    return line;
  };
  const few = Array.from({ length: 20 }, () => ask("/s"));
  const many = Array.from({ length: 200 }, () => {
    const line = ask("/m");
    assert.ok(driver.peer.unsentBytes <= unsentTotalMax);
    return line;
  });
  assert.ok(many.some(({ closed }) => closed));
  assert.ok(few.every(({ closed }) => !closed));
  assert.equal(writer.ask(OpCode.GetData, (w) => writeWatchableRequest(w, "/s", false)).err, 0);
});

const watch = (line: DriverLine, path: string) =>
  line.ask(OpCode.Exists, (w) => writeWatchableRequest(w, path, true)).err;

test("a client has a bounded number of watches, where a long path counts as several", () => {
  const driver = new Driver({ watchesPerConnectionMax: 10 });
  const line = driver.connect();
  for (let i = 0; i < 9; i++) assert.equal(watch(line, `/w${i}`), ErrorCode.NoNode);
  assert.equal(watch(line, `/${"x".repeat(300)}`), ErrorCode.QuotaExceeded);
  assert.equal(watch(line, "/w9"), ErrorCode.NoNode);
  assert.equal(watch(line, "/w10"), ErrorCode.QuotaExceeded);
  assert.equal(watch(line, "/w9"), ErrorCode.NoNode, "that one it has");
  assert.equal(line.ask(OpCode.Exists, (w) => writeWatchableRequest(w, "/w10", false)).err, ErrorCode.NoNode);
  assert.equal(driver.peer.counters.watchesRefused, 2);
  assert.equal(watch(driver.connect(), "/w10"), ErrorCode.NoNode, "another client");
  // Nobody looks at the code of a setWatches, so that ends the line.
  const again = driver.connect();
  const paths = Array.from({ length: 20 }, (_, i) => `/w${i}`);
  again.send(OpCode.SetWatches, (w) =>
    writeSetWatchesRequest(w, 0, {
      data: [],
      exists: paths,
      children: [],
      persistent: [],
      persistentRecursive: [],
    }));
  assert.equal(again.closed, true);
});

test("of too many watches the client that has most loses its own, a few at each step", () => {
  const driver = new Driver({ watchesMax: 10_010 });
  const modest = driver.connect();
  watch(modest, "/mine");
  const greedy = driver.connect();
  const { peer } = driver;
  for (let i = 0; !greedy.closed; i++) {
    assert.ok(i <= 10_010);
    greedy.send(OpCode.Exists, (w) => writeWatchableRequest(w, `/w${i}`, true));
  }
  assert.deepEqual([modest.closed, peer.counters.connectionsWatching], [false, 1]);
  assert.ok(peer.dataWatches.size > 4000, "not all at once");
  // What is left of them is nobody's: neither who is cut off hears of it, nor who gets its number.
  const { number } = greedy.connection;
  assert.notEqual(driver.open().connection.number, number);
  modest.ask(OpCode.Create, (w) => writeCreateRequest(w, "/w9999", null, aclOpen, 0));
  for (let i = 0; i < 5; i++) driver.tick();
  assert.deepEqual([peer.dataWatches.size, peer.dataWatches.weight], [1, 1]);
  assert.equal(driver.open().connection.number, number);
  modest.ask(OpCode.Create, (w) => writeCreateRequest(w, "/mine", null, aclOpen, 0));
});
