/**
 * Quorum connection: a learner's line to its leader, two pipes of bytes.
 *
 * Each end is open until its member closes it, dies or hears that the other did. Bytes to an end that
 * is not open are lost, as with a socket.
 */
import type { Link } from "../../src/core/zab/link.ts";
import type { Member } from "./member.ts";
import type { Connected } from "./network.ts";
import { Pipe } from "./pipe.ts";
import { plantInLink } from "./plants.ts";
import type { World } from "./world.ts";

interface End {
  readonly member: Member;
  /** Null before the dial is done, and once it is closed. */
  link: Link | null;
  isOpen: boolean;
  out: Pipe;
}

export class QuorumConnection implements Connected {
  readonly #world: World;
  readonly learner: Member;
  readonly leader: Member;
  #writes = 0;
  readonly #learnerEnd: End;
  readonly #leaderEnd: End;

  /** Accepted by the leader at once; `dialed` joins the learner's side. */
  constructor(world: World, learner: Member, leader: Member, port: "quorum" | "observers") {
    this.#world = world;
    this.learner = learner;
    this.leader = leader;
    this.#learnerEnd = { member: learner, link: null, isOpen: true, out: this.#pipe(learner, leader) };
    this.#leaderEnd = { member: leader, link: null, isOpen: true, out: this.#pipe(leader, learner) };
    this.#leaderEnd.link = leader.accepted(this, learner.sid, port);
  }

  #pipe(from: Member, to: Member): Pipe {
    const { timeline, chance, plan, network } = this.#world;
    const traits = { delayMsMin: plan.netMsMin, delayMsMax: plan.netMsMax, cutsMax: plan.cutsMax };
    return new Pipe(timeline, chance, traits, {
      isOpen: () => {
        const { link } = this.#endOf(to);
        return link !== null && !link.paused && !to.isFrozen && !network.isStalled(from.sid, to.sid);
      },
      deliver: (bytes) => {
        const { link } = this.#endOf(to);
        if (link !== null) to.linkBytes(link, bytes);
      },
      ended: () => this.#tell(to),
      moved: () => from.linkMoved(this),
    });
  }

  #endOf(member: Member): End {
    return member === this.learner ? this.#learnerEnd : this.#leaderEnd;
  }

  get isOver(): boolean {
    return !this.#learnerEnd.isOpen && !this.#leaderEnd.isOpen;
  }

  joins(a: number, b: number): boolean {
    const { sid } = this.learner;
    return sid === a ? this.leader.sid === b : sid === b && this.leader.sid === a;
  }

  dialed(link: Link): void {
    this.#learnerEnd.link = link;
    this.#leaderEnd.out.pump();
  }

  linkOf(member: Member): Link | null {
    return this.#endOf(member).link;
  }

  /** Bytes that the kernel of this side could not take. */
  unsent(member: Member): number {
    return Math.max(0, this.#endOf(member).out.bytes - this.#world.plan.kernelBytes);
  }

  /** Has something arrived that this side does not take? */
  waitsFor(member: Member): boolean {
    return this.#otherOf(this.#endOf(member)).out.isWaiting;
  }

  write(member: Member, bytes: Uint8Array): void {
    const end = this.#endOf(member);
    const { plant } = this.#world.plan;
    const sent = plantInLink(plant, member === this.learner, bytes, this.#writes++);
    if (end.isOpen && sent !== null) end.out.write(sent);
  }

  pump(): void {
    this.#learnerEnd.out.pump();
    this.#leaderEnd.out.pump();
  }

  // ---------------------------------------------------------------------------------------- ends

  /** This side closes: what it wrote still arrives. */
  close(member: Member): void {
    const end = this.#endOf(member);
    if (!end.isOpen) return;
    end.isOpen = false;
    end.link = null;
    end.out.end();
    this.#otherOf(end).out.kill();
  }

  #otherOf(end: End): End {
    return end === this.#learnerEnd ? this.#leaderEnd : this.#learnerEnd;
  }

  /** Both lose what was on its way; one of them may believe in the connection for long. */
  reset(): void {
    const { chance } = this.#world;
    const late = chance.happens(0.4) ? chance.pick([this.#learnerEnd, this.#leaderEnd]) : null;
    for (const end of [this.#learnerEnd, this.#leaderEnd]) {
      end.out.kill();
      if (end !== late) this.#tellSoon(end);
      else this.#world.timeline.after(chance.longTail(3, 3000), () => this.#tell(end.member));
    }
  }

  /** Packets go through again, so whoever believes in a connection that broke hears better. */
  heal(): void {
    if (!this.#learnerEnd.out.isDead && !this.#leaderEnd.out.isDead) return;
    for (const end of [this.#learnerEnd, this.#leaderEnd]) this.#tellSoon(end);
  }

  #tellSoon(end: End): void {
    if (!end.isOpen) return;
    this.#world.timeline.after(this.#world.chance.ms(0, 3), () => this.#tell(end.member));
  }

  #tell(member: Member): void {
    const end = this.#endOf(member);
    if (!end.isOpen) return;
    const { link } = end;
    end.isOpen = false;
    end.link = null;
    end.out.kill();
    this.#otherOf(end).out.kill();
    if (link === null) return;
    const { generation } = member;
    member.whenAwake(() => {
      if (member.generation === generation) member.linkClosed(link);
    });
  }

  crashed(member: Member, silently: boolean): void {
    const end = this.#endOf(member);
    if (end.member !== member || !end.isOpen) return;
    end.isOpen = false;
    end.link = null;
    const other = this.#otherOf(end);
    other.out.kill();
    if (silently) return end.out.kill();
    if (this.#world.chance.happens(0.5)) end.out.end();
    else {
      end.out.kill();
      this.#tellSoon(other);
    }
  }

  restarted(member: Member): void {
    const end = this.#endOf(member);
    if (end.member === member && !end.isOpen && end.out.isDead) this.#tellSoon(this.#otherOf(end));
  }
}
