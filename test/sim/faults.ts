/**
 * Faults: what the plan breaks, and when it is whole again.
 *
 * Each fault ends by itself after its time; two may overlap.
 */
import { unreachable } from "../../src/core/base/assert.ts";
import type { Member } from "./member.ts";
import { clientIdFirst } from "./network.ts";
import type { Fault } from "./plan.ts";
import { Chance } from "./prng.ts";
import type { World } from "./world.ts";

export function startFaults(world: World): void {
  for (const fault of world.plan.faults) world.timeline.at(fault.atMs, () => happen(world, fault));
}

function happen(world: World, fault: Fault): void {
  const c = new Chance(fault.luck);
  const { members, timeline, network } = world;
  const one = c.pick(members);
  const leader = world.members.find((member) => member.isLeader) ?? one;
  world.coverage.count(`fault ${fault.kind}`);
  const say = (who: string) =>
    world.trace(() => `FAULT ${fault.kind} ${who} for ${fault.forMs.toFixed(0)} ms`);
  const until = (undo: () => void) =>
    timeline.after(fault.forMs, () => {
      if (!world.isHealed) undo();
    });
  const sids = (list: readonly Member[]) => list.map(({ sid }) => sid).join(", ");
  switch (fault.kind) {
    case "crash":
    case "power":
    case "crashLeader": {
      const who = fault.kind === "crashLeader" ? leader : one;
      say(`${who.sid}`);
      who.crash(fault.kind === "power" || c.happens(0.3), fault.forMs);
      return;
    }
    case "crashAll": {
      say("all");
      const silently = c.happens(0.5);
      for (const member of members) {
        const lateMs = c.happens(0.7) ? 0 : c.ms(0, 30);
        timeline.after(lateMs, () => member.crash(silently, c.ms(1, fault.forMs + 5)));
      }
      return;
    }
    case "cut":
    case "stall":
    case "stallOneWay":
    case "isolateLeader": {
      const [ours, theirs] = sides(world, c, fault.kind === "isolateLeader" ? leader : null);
      say(`[${sids(ours)}] from [${sids(theirs)}]`);
      const undo: (() => void)[] = [];
      const stalls = fault.kind === "isolateLeader" ? c.happens(0.7) : fault.kind !== "cut";
      for (const a of ours) {
        for (const b of theirs) {
          if (!stalls) undo.push(network.cut(a.sid, b.sid));
          else {
            undo.push(network.stall(a.sid, b.sid));
            if (fault.kind !== "stallOneWay") undo.push(network.stall(b.sid, a.sid));
          }
        }
      }
      // Packets that waited for long are not always sent again: the connection may be gone as well.
      const resets = stalls && c.happens(0.4);
      until(() => {
        if (resets) { for (const a of ours) for (const b of theirs) network.reset(a.sid, b.sid); }
        for (const each of undo) each();
      });
      return;
    }
    case "reset": {
      const other = c.pick(members);
      say(`${one.sid} and ${other.sid}`);
      if (other !== one) network.reset(one.sid, other.sid);
      return;
    }
    case "freeze": {
      const who = c.happens(0.4) ? leader : one;
      say(`${who.sid}`);
      who.freeze();
      until(() => who.thaw());
      return;
    }
    case "slowDisk":
      say(`${one.sid}`);
      one.disk.slowness = c.pick([5, 30, 200]);
      return until(() => {
        one.disk.slowness = 1;
      });
    case "fullDisk":
      say(`${one.sid}`);
      one.disk.isFull = true;
      return until(() => {
        one.disk.isFull = false;
      });
    case "wallJump":
      say(`${one.sid}`);
      one.wallOffsetMs += c.pick([-3_600_000, -1000, 1000, 86_400_000]);
      return;
    case "clientCut":
    case "clientAway": {
      const client = clientIdFirst + c.below(world.plan.clients);
      say(`${client}`);
      const undo: (() => void)[] = [];
      for (const { sid } of fault.kind === "clientAway" ? members : [one]) {
        if (fault.kind === "clientCut") network.reset(client, sid);
        else undo.push(network.cut(client, sid));
      }
      return until(() => undo.forEach((each) => each()));
    }
    default:
      unreachable(fault.kind);
  }
}

/** Two groups that do not hear each other. */
function sides(world: World, c: Chance, alone: Member | null): [Member[], Member[]] {
  const { members } = world;
  if (alone !== null) {
    const company = c.happens(0.4) ? members.filter((member) => member !== alone && c.happens(0.3)) : [];
    const ours = [alone, ...company];
    return [ours, members.filter((member) => !ours.includes(member))];
  }
  const order = c.shuffled(members);
  const count = c.between(1, members.length - 1);
  return [order.slice(0, count), order.slice(count)];
}
