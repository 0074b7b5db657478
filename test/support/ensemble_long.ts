/**
 * Ensemble, long: stories of what is long, for ensembles of any members: values of megabytes, sessions
 * with megabytes of ephemerals, clients with megabytes of identities. None of it changes the leader,
 * and all members hold the same afterwards.
 */
import assert from "node:assert/strict";
import { CreateMode, OpCode } from "../../src/core/wire/opcodes.ts";
import type { Ensemble } from "./ensemble.ts";
import { clientOf, compareAll, untilSessionsAgree } from "./ensemble_compare.ts";
import type { Member } from "./member.ts";
import { sleep } from "./places.ts";

export interface Ephemerals {
  readonly count: number;
  readonly nameChars: number;
}

/** 2.7 MB of paths, which is above what packets may have by default; the second as it was met. */
export const ephemeralsFew: Ephemerals = { count: 54, nameChars: 50_000 };
export const ephemeralsMany: Ephemerals = { count: 30_000, nameChars: 90 };

/** What `story` does leaves this leader in its place. */
export async function staysLeader(
  ensemble: Ensemble,
  leader: Member,
  story: () => Promise<void>,
): Promise<void> {
  const epochOf = async () => Math.floor(await leader.zxid() / 2 ** 32);
  // An ensemble that nobody wrote to does not tell its epoch.
  const client = await clientOf(leader);
  await client.createPath("/begins-", null, { mode: CreateMode.PersistentSequential });
  await client.close();
  const epoch = await epochOf();
  await story();
  await ensemble.settled();
  assert.deepEqual([await leader.role(), await epochOf()], ["leader", epoch]);
}

/** Sessions with so many ephemerals, at each of the members; they close, or their clients are silent. */
export async function ephemeralsEnd(
  ensemble: Ensemble,
  members: readonly Member[],
  { count, nameChars }: Ephemerals,
  how: "close" | "expire",
): Promise<void> {
  const [watcherAt] = members as [Member];
  const watcher = await clientOf(watcherAt);
  for (const member of members) {
    const client = await clientOf(member, { timeoutMs: count > 1000 ? 15_000 : 3_000 });
    const made: Promise<string>[] = [];
    for (let i = 0; i < count; i++) {
      made.push(client.createPath(`/${how}-${member.sid}-${i}-`.padEnd(nameChars, "x"), null, {
        mode: CreateMode.Ephemeral,
      }));
    }
    await Promise.all(made);
    if (how === "close") await client.close();
    else client.abandon();
  }
  const until = performance.now() + 60_000;
  while (true) {
    await watcher.sync("/");
    const left = (await watcher.getChildNames("/")).filter((name) => name.startsWith(how)).length;
    if (left === 0) break;
    if (performance.now() > until) throw new Error(`${left} ephemerals are left\n${ensemble.told()}`);
    await sleep(100);
  }
  await watcher.close();
}

/** Values as long as `bytes`, written through each member and read at each. */
export async function longValues(ensemble: Ensemble, bytes: number): Promise<void> {
  for (const member of ensemble.running) {
    const client = await clientOf(member);
    const path = await client.createPath("/long-", new Uint8Array(bytes).fill(member.sid), {
      mode: CreateMode.PersistentSequential,
    });
    await client.setData(path, new Uint8Array(bytes).fill(member.sid + 1));
    for (const other of ensemble.running) {
      const reader = await clientOf(other);
      await reader.sync(path);
      const { data } = await reader.getData(path);
      assert.deepEqual([data?.length, data?.[0], data?.at(-1)], [bytes, member.sid + 1, member.sid + 1]);
      await reader.close();
    }
    await client.close();
  }
}

/** Creates whose `auth` entries are written out, `parts` in one multi. Returns whether it was done. */
export async function identitiesWrittenOut(
  member: Member,
  userBytes: number,
  parts: number,
): Promise<boolean> {
  const client = await clientOf(member, { digest: `${"u".repeat(userBytes)}:p` });
  const path = `/who-${member.sid}-${userBytes}-${parts}`;
  const acls = [{ perms: 31, id: { scheme: "auth", id: "" } }];
  const results = await client.multi(
    Array.from({ length: parts }, (_, i) => ({
      kind: "create",
      op: OpCode.Create,
      path: `${path}-${i}`,
      data: null,
      acls,
      flags: 0,
    })),
  );
  const isDone = (await client.exists(`${path}-0`).catch(() => null)) !== null;
  assert.equal(results.some((one) => one.kind === "error"), !isDone);
  await client.close();
  return isDone;
}

/** All of it, level in the end; members that were away get it by DIFF, and one with an empty disk by SNAP. */
export async function catchesUp(
  ensemble: Ensemble,
  leader: Member,
  member: Member,
  bytes: number,
): Promise<void> {
  await member.stop();
  await staysLeader(ensemble, leader, () => longValues(ensemble, bytes));
  member.start();
  await ensemble.settled(ensemble.members);
  await member.kill();
  member.wipe();
  member.start();
  await ensemble.settled(ensemble.members);
  await ensemble.level(leader);
  await untilSessionsAgree(ensemble.members);
  await compareAll(ensemble);
}
