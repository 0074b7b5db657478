/**
 * What real processes make of strange peers, one rule at a time: initial messages and notifications of
 * every form (quorum-protocol 1.2, 1.4), and data directories that are somebody else's.
 */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { test } from "node:test";
import { encodeNotification, VoterState } from "../../src/core/wire/votes.ts";
import { OpCode } from "../../src/core/wire/opcodes.ts";
import { bytesOf } from "../../src/core/base/bytes.ts";
import { createBody, pathBody, pathWatchBody } from "../support/bodies.ts";
import { type Ensemble, withEnsemble } from "../support/ensemble.ts";
import type { Member } from "../support/member.ts";
import { makeTempDirectory } from "../support/places.ts";
import { WireSession } from "../support/wire_session.ts";
import { runtimeUnderTest, zooletMissing } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";
import { bytes, followerInfo } from "../core/zab/told.ts";
import { PeerConnection } from "./peer_connection.ts";

const make = zooletMake(runtimeUnderTest());
const three = [{ make }, { make }, { make }];
const settings = { tickTime: 500, initLimit: 10, syncLimit: 5 };
const skip = zooletMissing() ?? false;

const config = bytesOf("version=0");
const looking = encodeNotification(VoterState.Looking, { leader: 77, zxid: 0, round: 1, epoch: 0 }, config);

const initial = (version: bigint, sid: bigint, text: string, length = text.length) =>
  bytes((w) => {
    w.i64(version);
    w.i64(sid);
    w.i32(length);
    w.raw(bytesOf(text));
  });
const framed = (body: Uint8Array, length = body.length) =>
  bytes((w) => {
    w.i32(length);
    w.raw(body);
  });

/** A stranger that looks for a leader is answered at once: so each answer is a notification that was taken. */
function answers(connection: PeerConnection): number {
  let count = 0;
  const view = new DataView(connection.received.buffer, connection.received.byteOffset);
  for (let at = 0; at + 4 <= connection.received.length; count++) at += 4 + view.getInt32(at);
  return count;
}

async function introduced(member: Member, message: Uint8Array, pieces = 1): Promise<PeerConnection> {
  const connection = await PeerConnection.open(member.ports.election);
  const size = Math.ceil(message.length / pieces);
  for (let at = 0; at < message.length; at += size) {
    connection.write(message.slice(at, at + size));
    if (pieces > 1) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return connection;
}

test("1,000 packets of members that claim to have promised later epochs change no leader", {
  skip,
  timeout: 60_000,
}, async () => {
  await withEnsemble(three, { settings }, async (ensemble) => {
    const leader = await ensemble.startLedBy(3);
    for (const sid of [1, 2]) {
      for (let i = 0; i < 500; i++) {
        const connection = await PeerConnection.open(leader.ports.quorum);
        connection.write(followerInfo(sid, i % 2 === 0 ? 65_000 * (1 + i % 30) : 1 + i));
        if (i % 50 === 49) await connection.untilBytes(24, 1000);
        connection.destroy();
      }
    }
    await ensemble.settled(ensemble.members);
    await leader.untilOutput(/epoch_promised/, 3000);
    await leader.untilOutput(/epoch_absurd/, 3000);
    for (const member of ensemble.members) {
      assert.equal([...member.output.matchAll(/event=elected/g)].length, 1, member.name);
      assert.doesNotMatch(member.output, /event=part_left/);
    }
  });
});

test("strange initial messages and notifications are taken or refused as in the original", {
  timeout: 60_000,
  skip,
}, async () => {
  await withEnsemble(three, { settings }, async (ensemble) => {
    const leader = await ensemble.startLedBy(3);
    const v1 = initial(-65536n, 77n, "127.0.0.1:1");

    const taken: readonly (readonly [string, Uint8Array, number])[] = [
      ["as releases since 3.5 send it", v1, 1],
      ["byte by byte", v1, v1.length],
      ["with several addresses", initial(-65535n, 77n, "127.0.0.1:1|[::1]:2"), 1],
      ["with several addresses in the older form", initial(-65536n, 77n, "127.0.0.1:1|host:2"), 1],
      ["with nowhere to call back", initial(-65536n, 77n, "0.0.0.0:3888"), 1],
      ["as releases before 3.5 sent it", bytes((w) => w.i64(77n)), 1],
      ["of an observer without id", initial(-65536n, 0x7fff_ffff_ffff_ffffn, "127.0.0.1:1"), 1],
    ];
    for (const [what, message, pieces] of taken) {
      const connection = await introduced(leader, message, pieces);
      connection.write(framed(looking));
      assert.ok(await connection.until(() => answers(connection) > 0, 3000), what);
      connection.destroy();
    }

    const refused: readonly (readonly [string, Uint8Array])[] = [
      ["an address of no bytes", initial(-65536n, 77n, "", 0)],
      ["an address of a negative length", initial(-65536n, 77n, "", -1)],
      ["an address of 2049 bytes", initial(-65536n, 77n, "x".repeat(2049))],
      ["another version", initial(-65537n, 77n, "127.0.0.1:1")],
      ["the leader's own sid", initial(-65536n, 3n, "127.0.0.1:1")],
    ];
    for (const [what, message] of refused) {
      const connection = await introduced(leader, message);
      assert.ok(await connection.untilClosed(3000), what);
    }
    await leader.untilOutput(/event=election_own_sid/, 3000);

    // Sizes as in 1.4; each that is taken is answered, each that is not leaves the connection as it is.
    const bent = (change: (view: DataView) => void): Uint8Array => {
      const body = looking.slice();
      change(new DataView(body.buffer));
      return body;
    };
    const notifications: readonly (readonly [string, Uint8Array, boolean])[] = [
      ["27 bytes", looking.slice(0, 27), false],
      ["28 bytes, before 3.4", looking.slice(0, 28), true],
      ["40 bytes, without a version", looking.slice(0, 40), true],
      ["44 bytes whose configuration is missing", looking.slice(0, 44), false],
      ["44 bytes and an empty configuration", bent((view) => view.setInt32(40, 0)).slice(0, 44), true],
      ["44 bytes and a configuration", looking, true],
      ["a configuration of a negative length", bent((view) => view.setInt32(40, -1)), false],
      ["a configuration longer than the message", bent((view) => view.setInt32(40, 5000)), false],
      ["state 7", bent((view) => view.setInt32(0, 7)), false],
    ];
    const connection = await introduced(leader, v1);
    let due = 0;
    for (const [what, body, isTaken] of notifications) {
      connection.write(framed(body));
      // An answer to a right one behind it shows that the strange one was passed over.
      connection.write(framed(looking));
      due += isTaken ? 2 : 1;
      await connection.until(() => answers(connection) >= due, 3000);
      assert.deepEqual([answers(connection), connection.closed], [due, false], what);
    }
    connection.destroy();

    for (const length of [0, -1, (512 << 10) + 1]) {
      const cut = await introduced(leader, v1);
      cut.write(framed(new Uint8Array(0), length));
      assert.ok(await cut.untilClosed(3000), `a notification of ${length} bytes`);
    }
    assert.equal(await leader.role(), "leader");
  });
});

async function write(member: Member, count: number, prefix: string): Promise<void> {
  const session = await WireSession.connect(member.ports.client);
  for (let i = 0; i < count; i++) {
    await session.ask(OpCode.Create, createBody(`/${prefix}${i}`, bytesOf("x")));
  }
  await session.close();
}

async function exists(member: Member, path: string): Promise<boolean> {
  const session = await WireSession.connect(member.ports.client);
  await session.ask(OpCode.Sync, pathBody("/"));
  const { err } = await session.ask(OpCode.Exists, pathWatchBody(path, false));
  await session.close();
  return err === 0;
}

test(
  "the data of another server is refused, and the message says whose it is",
  { timeout: 60_000, skip },
  async () => {
    await withEnsemble(three, { settings }, async (ensemble) => {
      await ensemble.startLedBy(3);
      await write(ensemble.of(3), 3, "a");
      await ensemble.stop();
      const [one, two] = [ensemble.of(1), ensemble.of(2)];
      one.wipe();
      cpSync(two.dataDirectory, one.dataDirectory, { recursive: true });
      // `start` writes myid 1 into it.
      one.start();
      assert.equal(await one.child?.exited(15_000), true, "it must not run");
      assert.notEqual(one.child?.exit?.code, 0);
      assert.match(one.output, /for server 1: it belongs to server 2\. Look at myid, dataDir and dataLogDir/);
    });
  },
);

/** Moves the data of member 1 of one ensemble to member 1 of another. */
async function moved(from: Ensemble, to: Ensemble): Promise<void> {
  const place = makeTempDirectory("moved");
  try {
    cpSync(from.of(1).dataDirectory, place.path, { recursive: true });
    to.of(1).wipe();
    cpSync(place.path, to.of(1).dataDirectory, { recursive: true });
    rmSync(`${to.of(1).dataDirectory}/myid`, { force: true });
  } finally {
    place.remove();
  }
}

test("data of another ensemble that went further is not cut to fit: it is refused with words that help", {
  timeout: 90_000,
  skip,
}, async () => {
  await withEnsemble(three, { settings }, async (far) => {
    await far.startLedBy(3);
    await write(far.of(3), 30, "far");
    assert.equal(await exists(far.of(1), "/far29"), true);
    await far.stop();
    await withEnsemble(three, { settings }, async (ensemble) => {
      ensemble.start(2, 3);
      await ensemble.settled([ensemble.of(2), ensemble.of(3)]);
      await write(ensemble.of(3), 5, "near");
      await moved(far, ensemble);
      const one = ensemble.of(1);
      one.start();
      const [said] = await one.untilOutput(/.*event=truncate_committed.*/, 20_000);
      assert.match(said, /Either this data directory is of another ensemble, or the others lost theirs/);
      assert.match(
        said,
        /Nothing is deleted: to join them with their state, move this server's data directory away/,
      );
      assert.equal(await ensemble.of(3).role(), "leader");
      await write(ensemble.of(3), 2, "more");
      assert.equal(await exists(ensemble.of(2), "/more1"), true);
      // What it says to do, helps.
      await one.stop();
      one.wipe();
      one.start();
      await ensemble.settled(ensemble.members);
      assert.deepEqual([await exists(one, "/near4"), await exists(one, "/far0")], [true, false]);
    });
  });
});
