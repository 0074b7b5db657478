/**
 * Siege attackers: all kinds of hostile client and peer at once, from one address, in a worker of their
 * own, so that what the normal client waits for is the server and not the attack.
 *
 * Each story is told again and again until time is up. Being cut off is part of most of them.
 */
import { parentPort, workerData } from "node:worker_threads";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { followerInfo } from "../core/zab/told.ts";
import {
  authBody,
  type Bytes,
  connectFrame,
  createBody,
  multiBody,
  noBody,
  pathBody,
  pathNumberBody,
  pathWatchBody,
  requestFrame,
  setDataBody,
  setWatchesBody,
} from "../support/bodies.ts";
import { sleep } from "../support/places.ts";
import { Random } from "../support/random.ts";
import { WireConnection } from "../support/wire_connection.ts";
import { WireSession } from "../support/wire_session.ts";
import { PeerConnection } from "./peer_connection.ts";

export interface SiegePorts {
  readonly sid: number;
  readonly client: number;
  readonly quorum: number;
  readonly election: number;
}

export interface SiegeOrder {
  /** The leader is the last. */
  readonly members: readonly SiegePorts[];
  readonly seed: number;
  readonly ms: number;
  /** Stories to tell, by name; empty for all. */
  readonly only: readonly string[];
}

/** A znode of a megabyte, and one with a path of 900 kB: made by the siege before the attack. */
export const bigPath = "/siege/big";
export const longPath = `/${"x".repeat(900_000)}`;

type Story = (member: SiegePorts, order: SiegeOrder, random: Random) => Promise<void>;

function repeated(count: number, frame: Bytes): Bytes {
  const all = new Uint8Array(count * frame.length);
  for (let i = 0; i < count; i++) all.set(frame, i * frame.length);
  return all;
}

const bigRead = requestFrame(1, OpCode.GetData, pathWatchBody(bigPath, false));

/** 6,000 reads of a megabyte behind the ConnectRequest, and nobody who reads the replies. */
const pipelined: Story = async ({ client }) => {
  const connections: WireConnection[] = [];
  for (let i = 0; i < 4; i++) {
    const connection = await WireConnection.open(client);
    connection.pause();
    connection.write(connectFrame({ timeoutMs: 10_000, readOnly: false }));
    connection.write(repeated(6000, bigRead));
    connections.push(connection);
  }
  await sleep(4000);
  for (const connection of connections) connection.destroy();
};

/** The same again behind a write that grows what they read. */
const behindWrites: Story = async ({ client, sid }) => {
  const session = await WireSession.connect(client, { timeoutMs: 10_000 });
  const path = `/siege/grows${sid}`;
  await session.ask(OpCode.Create, createBody(path, null, 1));
  session.connection.pause();
  const { connection } = session;
  for (let round = 0; round < 3; round++) {
    connection.write(requestFrame(-9, OpCode.SetData, setDataBody(path, new Uint8Array(1_000_000), -1)));
    connection.write(repeated(900, requestFrame(-9, OpCode.GetData, pathWatchBody(path, false))));
    connection.write(requestFrame(-9, OpCode.SetData, setDataBody(path, null, -1)));
  }
  await sleep(3000);
  session.drop();
};

const expensive: Story = async ({ client }) => {
  const connection = await WireConnection.open(client);
  connection.onFrame = () => {};
  connection.write(connectFrame({ timeoutMs: 10_000, readOnly: false }));
  for (let i = 0; i < 500; i++) {
    connection.write(requestFrame(i + 1, OpCode.Create, createBody(`/siege/e`, null, 3)));
  }
  connection.write(repeated(2000, requestFrame(-9, OpCode.GetAllChildrenNumber, pathBody("/"))));
  connection.write(repeated(2000, requestFrame(-9, OpCode.GetEphemerals, pathBody("/nothing/begins/so"))));
  await sleep(3000);
  connection.destroy();
};

const words: Story = async ({ client }, _order, random) => {
  for (let i = 0; i < 20; i++) {
    const connection = await WireConnection.open(client);
    connection.onFrame = () => {};
    if (random.percent(30)) connection.pause();
    connection.write(bytesOf(random.pick(["wchp", "wchc", "dump", "cons", "mntr", "srvr", "wchs", "stat"])));
    await sleep(50);
    if (i % 4 === 3) connection.destroy();
    else setTimeout(() => connection.destroy(), 2000);
  }
};

/** 100,000 watches, so that those who ask for all watches have something to wait for. */
const watcher: Story = async ({ client, sid }) => {
  const session = await WireSession.connect(client, { timeoutMs: 30_000 });
  for (let i = 0; i < 100; i++) {
    const paths = Array.from({ length: 1000 }, (_, k) => `/siege/watched/${sid}/${i}/${k}`);
    await session.ask(OpCode.SetWatches, setWatchesBody(1n << 60n, [[], paths, []]), 30_000);
  }
  for (let i = 0; i < 20 && !session.connection.closed; i++) {
    await sleep(500);
    await session.ping(30_000);
  }
  session.drop();
};

/** Recursive watches on `/` of clients that never read. */
const deaf: Story = async ({ client }) => {
  const sessions: WireSession[] = [];
  for (let i = 0; i < 25; i++) {
    const session = await WireSession.connect(client, { timeoutMs: 40_000 }, 20_000);
    await session.ask(OpCode.AddWatch, pathNumberBody("/", 1), 30_000);
    session.connection.pause();
    sessions.push(session);
  }
  await sleep(15_000);
  for (const session of sessions) session.drop();
};

/** Changes that all of them should hear of: 900 kB of path in each event. */
const loud: Story = async ({ client }) => {
  const session = await WireSession.connect(client, { timeoutMs: 30_000 });
  for (let i = 0; i < 100 && !session.connection.closed; i++) {
    await session.ask(OpCode.SetData, setDataBody(longPath, null, -1), 30_000);
    await sleep(100);
  }
  session.drop();
};

/** A member's name and an epoch that is far ahead, 33 times. */
const farEpochs: Story = async (_member, { members }) => {
  const leader = members.at(-1) as SiegePorts;
  for (let i = 1; i <= 33; i++) {
    const connection = await PeerConnection.open(leader.quorum);
    connection.write(followerInfo((members[0] as SiegePorts).sid, i * 65_000));
    await sleep(20);
    connection.destroy();
  }
  await sleep(5000);
};

const noise: Story = async ({ client, quorum, election }, _order, random) => {
  for (const port of [client, quorum, election]) {
    const connection = await PeerConnection.open(port);
    connection.write(random.bytes(1 + random.below(20_000)));
    await sleep(30);
    connection.destroy();
  }
};

const silent: Story = async ({ client, quorum, election }) => {
  const connections: PeerConnection[] = [];
  for (const port of [client, quorum, election]) {
    for (let i = 0; i < 10; i++) connections.push(await PeerConnection.open(port));
  }
  await sleep(8000);
  for (const connection of connections) connection.destroy();
};

/** A long name, many times in one short transaction. */
const hugeIdentities: Story = async ({ client, sid }) => {
  for (const [length, times] of [[900_000, 3], [60_000, 30], [30_000, 1000]] as const) {
    const session = await WireSession.connect(client, { timeoutMs: 10_000 });
    const { connection } = session;
    connection.write(requestFrame(-9, OpCode.Auth, authBody("digest", bytesOf(`${"u".repeat(length)}:p`))));
    const acls = [{ perms: 31, scheme: "auth", id: "" }];
    const subs = Array.from({ length: times }, (_, i) => ({
      op: OpCode.Create,
      body: createBody(`/siege/huge${sid}-${i}`, null, 1, acls),
    }));
    connection.write(requestFrame(-9, OpCode.Multi, multiBody(subs)));
    connection.write(requestFrame(-9, OpCode.CloseSession, noBody));
    await connection.untilClosed(5000);
    session.drop();
    await sleep(500);
  }
};

const stories = {
  pipelined,
  behindWrites,
  expensive,
  words,
  watcher,
  deaf,
  loud,
  farEpochs,
  noise,
  silent,
  hugeIdentities,
};

async function attack(order: SiegeOrder): Promise<Record<string, number>> {
  const untilMs = performance.now() + order.ms;
  const told: Record<string, number> = {};
  const leader = order.members.at(-1) as SiegePorts;
  const loops = Object.entries(stories).flatMap(([name, story]) => {
    if (order.only.length > 0 && !order.only.includes(name)) return [];
    told[name] = 0;
    const at = story === loud || story === farEpochs ? [leader] : order.members;
    return at.map(async (member) => {
      const random = new Random(order.seed * 100 + member.sid);
      while (performance.now() < untilMs) {
        try {
          await story(member, order, random);
          told[name] = (told[name] ?? 0) + 1;
        } catch {
          // Cut off, refused or too slow: it comes again.
          await sleep(200);
        }
      }
    });
  });
  await Promise.all(loops);
  return told;
}

if (parentPort !== null) {
  const port = parentPort;
  void attack(workerData as SiegeOrder).then((told) => port.postMessage(told));
}
