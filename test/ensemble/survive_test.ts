/**
 * Ensembles of our own, on one runtime and on both at once: they elect, serve, lose any minority, serve
 * on, and are whole again when it comes back; and nothing that was acknowledged is missing anywhere.
 */
import { test } from "node:test";
import { withEnsemble } from "../support/ensemble.ts";
import { compareAll } from "../support/ensemble_compare.ts";
import { Load } from "../support/ensemble_load.ts";
import type { Make, Member } from "../support/member.ts";
import { sleep } from "../support/places.ts";
import { runtimeUnderTest } from "../support/zoolet.ts";
import { zooletMake } from "../support/zoolet_member.ts";

const isLong = process.env["ZOOLET_TEST_LONG"] === "1";
const own = zooletMake(runtimeUnderTest());
const other = zooletMake(runtimeUnderTest() === "bun" ? "deno" : "bun");

/** Every set of so many, or a few of them where nobody has the time. */
function minorities(members: readonly Member[], count: number): Member[][] {
  if (count === 1) return members.map((member) => [member]);
  const sets = members.flatMap((first, index) => members.slice(index + 1).map((second) => [first, second]));
  return isLong ? sets : sets.filter((_, index) => index % 4 === 0);
}

async function survives(makes: readonly Make[]): Promise<void> {
  await withEnsemble(makes.map((make) => ({ make })), { settings: { tickTime: 500 } }, async (ensemble) => {
    const { members } = ensemble;
    ensemble.start(...members.map(({ sid }) => sid));
    await ensemble.settled(members);
    const load = await Load.start(members, { clients: members.length });
    for (const lost of minorities(members, (members.length - 1) / 2)) {
      await sleep(100);
      await Promise.all(lost.map((member) => member.kill()));
      const rest = members.filter((member) => !lost.includes(member));
      await ensemble.settled(rest);
      await load.more(20);
      ensemble.start(...lost.map(({ sid }) => sid));
      await ensemble.settled(members);
    }
    await load.stop();
    load.verify(await compareAll(ensemble));
  });
}

const shapes: readonly { readonly name: string; readonly makes: readonly Make[] }[] = [
  { name: `three on ${own.name}`, makes: [own, own, own] },
  { name: `three on ${own.name} and ${other.name}`, makes: [own, other, own] },
  { name: `five on ${own.name}`, makes: [own, own, own, own, own] },
  { name: `five on ${own.name} and ${other.name}`, makes: [other, own, other, own, own] },
];

for (const { name, makes } of shapes) {
  const missing = makes.map((make) => make.missing).find((reason) => reason !== null) ?? null;
  const tooLong = !isLong && name.startsWith("five on") && name.includes(" and ");
  const skip = missing ?? (tooLong ? "takes long: ZOOLET_TEST_LONG=1 runs it" : false);
  test(`any minority may go and come back: ${name}`, { timeout: 140_000, skip }, () => survives(makes));
}
