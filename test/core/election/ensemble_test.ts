/** Elections of whole ensembles, from seeds, while links are cut and members crash. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../../../src/core/base/quorum.ts";
import { Random } from "../../support/random.ts";
import { Ensemble, type EnsembleOptions, lax, Violation } from "./ensemble.ts";

const settleMs = 200;

function majority(count: number): Quorum {
  return new MajorityQuorum(Array.from({ length: count }, (_, i) => i + 1));
}

function groups(): Quorum {
  return new HierarchicalQuorum([[1, 2, 3], [4, 5, 6], [7, 8, 9]].map((sids) => ({
    members: sids.map((sid) => ({ sid, weight: sid === 9 ? 0 : sid === 4 ? 2 : 1 })),
  })));
}

const shapes: readonly Pick<EnsembleOptions, "quorum" | "observers">[] = [
  { quorum: majority(3), observers: [] },
  { quorum: majority(3), observers: [0, 4] },
  { quorum: majority(4), observers: [] },
  { quorum: majority(5), observers: [6] },
  { quorum: groups(), observers: [] },
];

/** Trouble for a while, then none; what is seen meanwhile, and the leader of the end. */
function story(seed: number, options: EnsembleOptions): { ensemble: Ensemble; leader: number } {
  const random = new Random(seed);
  const ensemble = new Ensemble(options, random);
  const sids = [...options.quorum.voters, ...options.observers];
  const crashed = new Set<number>(sids);
  for (let i = 0; i < 60; i++) {
    const [a, b] = [random.pick(sids), random.pick(sids)];
    switch (random.below(9)) {
      case 0:
      case 1:
      case 2:
        ensemble.start(a);
        crashed.delete(a);
        break;
      case 3:
        if (crashed.size < sids.length / 2) {
          ensemble.crash(a);
          crashed.add(a);
        }
        break;
      case 4:
        if (a !== b) ensemble.cut(a, b);
        break;
      case 5:
        if (a !== b) ensemble.break(a, b);
        break;
      case 6:
        for (const sid of sids) if (sid !== a) ensemble.mend(a, sid);
        break;
      default:
        ensemble.write();
    }
    ensemble.run(random.percent(60) ? random.below(60) : random.below(900));
  }
  ensemble.heal();
  ensemble.run(15_000);
  const end = ensemble.agreement();
  if ("wrong" in end) throw new Violation(`no agreement: ${end.wrong}`);
  return { ensemble, leader: end.leader };
}

describe("an ensemble", () => {
  for (const [i, shape] of shapes.entries()) {
    const { quorum, observers } = shape;
    it(`of ${quorum.voters.length} voters and ${observers.length} observers agrees once faults heal (${i})`, () => {
      const total = { decisions: 0, terms: 0, crashes: 0, cuts: 0, messages: 0, deserted: 0 };
      const leaders = new Set<number>();
      for (let seed = 1; seed <= 40; seed++) {
        try {
          const { ensemble, leader } = story(seed, { ...shape, settleMs });
          leaders.add(leader);
          for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += ensemble.counts[key];
        } catch (error) {
          throw new Error(`shape ${i}, seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
      assert.ok(total.terms > 50 && total.crashes > 50 && total.cuts > 50, JSON.stringify(total));
      assert.ok(leaders.size > 1 && [...leaders].every((sid) => quorum.weight(sid) > 0), `${[...leaders]}`);
    });
  }

  it("that takes too few for a quorum is found out", () => {
    const seeds = Array.from({ length: 30 }, (_, i) => i + 1);
    const found = seeds.filter((seed) => {
      const quorum = majority(5);
      try {
        story(seed, { quorum, observers: [], believed: lax(quorum), settleMs });
        return false;
      } catch (error) {
        if (error instanceof Violation) return true;
        throw error;
      }
    });
    assert.ok(found.length > 15, `found by ${found.length} of ${seeds.length} seeds`);
  });

  it("starts with the highest sid, if all start together, although two would be enough", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const ensemble = new Ensemble({ quorum: majority(3), observers: [], settleMs }, new Random(seed));
      for (const sid of [1, 2, 3]) ensemble.start(sid);
      ensemble.run(4000);
      assert.deepEqual(ensemble.agreement(), { leader: 3 }, `seed ${seed}`);
    }
  });

  it("that lost its leader has another without the wait that settles", () => {
    let quick = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const ensemble = new Ensemble({ quorum: majority(3), observers: [], settleMs }, new Random(seed));
      for (const sid of [1, 2, 3]) ensemble.start(sid);
      ensemble.run(4000);
      const before = ensemble.counts.terms;
      ensemble.crash(3);
      ensemble.run(150);
      if (ensemble.counts.terms > before) quick++;
      ensemble.run(3000);
      assert.ok(ensemble.counts.terms > before, `seed ${seed}`);
    }
    // Some messages are slow here on purpose.
    assert.ok(quick >= 20, `quick ${quick} times of 30`);
  });
});
