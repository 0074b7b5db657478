/**
 * Election: who leads a mixed ensemble from empty directories, and how its members are connected.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ensemble, withEnsemble } from "../../support/ensemble.ts";
import { clientOf, compareAll, untilSessionsAgree } from "../../support/ensemble_compare.ts";
import { Load } from "../../support/ensemble_load.ts";
import type { Member } from "../../support/member.ts";
import { sleep } from "../../support/places.ts";
import { Random } from "../../support/random.ts";
import { scenario, scenarioBothWays } from "./cast.ts";

scenario(
  "three with empty directories choose a leader, whoever of them is ours",
  {},
  async ({ java, ours }) => {
    for (const place of [1, 2, 3]) {
      const specs = [1, 2, 3].map((sid) => ({ make: sid === place ? ours : java }));
      await withEnsemble(specs, {}, async (ensemble) => {
        ensemble.start(1, 2, 3);
        const leader = await ensemble.settled();
        await connectedInPairs(ensemble);
        const client = await clientOf(ensemble.of(place));
        const { stat } = await client.create("/first", null);
        assert.equal(Math.floor(stat.czxid / 2 ** 32), 1);
        await client.close();
        await compareAll(ensemble);
        await checkEpochs(ensemble, 1);
        await untilSessionsAgree(ensemble.members);
        assert.ok([2, 3].includes(leader.sid));
      });
    }
  },
);

scenario("of three that start together with equal logs the largest sid leads, also when it is ours", {
  long: true,
}, async ({ java, ours }) => {
  await withEnsemble([{ make: java }, { make: java }, { make: ours }], {}, async (ensemble) => {
    await ensemble.startLedBy(3);
    await ensemble.stop();
    ensemble.start(1, 2);
    await ensemble.settled();
    ensemble.start(3);
    await ensemble.settled();
    await ensemble.stop();
    ensemble.start(3, 1);
    assert.equal((await ensemble.settled()).sid, 3);
  });
});

scenario(
  "the election finds the longest log, not the largest sid",
  { long: true },
  async ({ java, ours }) => {
    for (const ahead of [1, 3]) {
      const specs = [1, 2, 3].map((sid) => ({ make: sid === ahead ? ours : java }));
      await withEnsemble(specs, {}, async (ensemble) => {
        ensemble.start(1, 2, 3);
        await ensemble.settled();
        const behind = ahead === 1 ? 3 : 1;
        await ensemble.of(behind).kill();
        const rest = [ensemble.of(ahead), ensemble.of(2)];
        await ensemble.settled(rest);
        const load = await Load.start(rest);
        await load.more(50);
        await load.stop();
        await Promise.all(rest.map((member) => member.kill()));
        ensemble.start(ahead, behind);
        assert.equal((await ensemble.settled()).sid, ahead);
        ensemble.start(2);
        await ensemble.settled();
        load.verify(await compareAll(ensemble));
      });
    }
  },
);

scenarioBothWays(
  "a voter that promised a later epoch stays outside, until the leader is another",
  { long: true },
  async (leads, learns) => {
    const specs = [{ make: learns }, { make: leads }, { make: leads }];
    await withEnsemble(specs, {}, async (ensemble) => {
      const leader = await ensemble.startLedBy(3);
      const eager = ensemble.of(1);
      await eager.stop();
      if (eager.make.isJava) writeFileSync(join(eager.dataDirectory, "version-2", "acceptedEpoch"), "7");
      else promise(eager, 7);
      eager.start();
      await sleep(4000);
      assert.notEqual(await eager.role(), "follower");
      assert.equal(await leader.role(), "leader");
      assert.equal(await ensemble.of(2).role(), "follower");
      await leader.stop();
      await ensemble.settled(ensemble.running);
      leader.start();
      await ensemble.settled();
      const client = await clientOf(eager);
      const { stat } = await client.create("/beyond", null);
      await client.close();
      assert.equal(Math.floor(stat.czxid / 2 ** 32), 8);
      await compareAll(ensemble);
      await checkEpochs(ensemble, 8);
    });
  },
);

scenario(
  "election connections that are cut come back, one for each pair",
  { long: true },
  async ({ java, ours }) => {
    const random = new Random(Number(process.env["ZOOLET_SEED"] ?? 4));
    await withEnsemble([{ make: java }, { make: ours }, { make: java }], {}, async (ensemble) => {
      ensemble.start(1, 2, 3);
      let leader = await ensemble.settled();
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 8; i++) {
          cutElection(random.pick(ensemble.members));
          await sleep(random.below(60));
        }
        // Nobody votes while all is well; the next election needs every pair again.
        await leader.stop();
        await ensemble.settled(ensemble.running);
        leader.start();
        leader = await ensemble.settled();
        await connectedInPairs(ensemble);
      }
      await compareAll(ensemble);
    });
  },
);

/** What is in the data directory of one of ours. */
function promise(member: Member, epoch: number): void {
  const file = join(member.dataDirectory, "log.db");
  const done = spawnSync("python3", [
    "-c",
    "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); " +
    "d.execute(\"update meta set value = ? where name = 'epoch_accepted'\", (int(sys.argv[2]),)); d.commit()",
    file,
    String(epoch),
  ], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
}

async function checkEpochs(ensemble: Ensemble, epoch: number): Promise<void> {
  for (const member of ensemble.members.filter(({ make }) => make.isJava)) {
    assert.equal(member.epochFile("acceptedEpoch"), epoch, `${member.name} accepted`);
    assert.equal(member.epochFile("currentEpoch"), epoch, `${member.name} current`);
  }
  for (const member of ensemble.members) {
    const zxid = (await member.word("srvr")).match(/^Zxid: 0x([0-9a-f]+)/m)?.[1] ?? "";
    assert.equal(Math.floor(Number.parseInt(zxid, 16) / 2 ** 32), epoch, `${member.name} is at ${zxid}`);
  }
}

interface Connection {
  readonly local: number;
  readonly remote: number;
}

/** Established TCP connections of a process, by port. */
function connectionsOf(pid: number): readonly Connection[] {
  const inodes = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const socket = readlinkSync(`/proc/${pid}/fd/${name}`).match(/^socket:\[(\d+)\]$/)?.[1];
      if (socket !== undefined) inodes.add(socket);
    } catch {
      // It was closed since it was listed.
    }
  }
  const list: Connection[] = [];
  for (const table of ["tcp", "tcp6"]) {
    for (const line of readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1)) {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
      if (state !== "01" || inode === undefined || !inodes.has(inode)) continue;
      list.push({ local: portOf(local), remote: portOf(remote) });
    }
  }
  return list;
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(":").at(-1) ?? "", 16);
}

/** Each pair has one election connection, and the larger sid dialed it. */
async function connectedInPairs(ensemble: Ensemble): Promise<void> {
  if (process.platform !== "linux") return;
  const until = performance.now() + 5000;
  while (true) {
    const faults = pairFaults(ensemble.members);
    if (faults.length === 0) return;
    if (performance.now() > until) assert.fail(faults.join("\n"));
    await sleep(50);
  }
}

function pairFaults(members: readonly Member[]): readonly string[] {
  const all = new Map(members.map((member) => [member.sid, connectionsOf(member.child?.pid ?? -1)]));
  return members.flatMap((small) =>
    members.filter((large) => large.sid > small.sid).flatMap((large) => {
      const between = (dialer: Member, acceptor: Member): number =>
        (all.get(dialer.sid) ?? []).filter(({ local, remote }) =>
          remote === acceptor.ports.election &&
          (all.get(acceptor.sid) ?? []).some((other) => other.local === remote && other.remote === local)
        ).length;
      const [down, up] = [between(large, small), between(small, large)];
      return down === 1 && up === 0
        ? []
        : [`${down} connections from ${large.name} to ${small.name} and ${up} the other way`];
    })
  );
}

/** Ends the connections that others made to its election port, as a broken network would. Root's privilege. */
function cutElection(member: Member): void {
  spawnSync("ss", ["-K", "-t", "state", "established", `( sport = :${member.ports.election} )`]);
}
