/**
 * Election pair: the one election connection that two members share.
 *
 * Who dials whom, and which of two crossing connections stays, is the shell's business; here a
 * connection is there or it is not. Each side has one slot for a vote that could not be sent, newer
 * replaces older, and remembers the last vote that it sent: on a new connection the slot goes out,
 * or else the last vote once more (quorum-protocol 1.1).
 */
import type { Member } from "./member.ts";
import type { Connected } from "./network.ts";
import { Pipe } from "./pipe.ts";
import type { World } from "./world.ts";

interface End {
  readonly member: Member;
  slot: Uint8Array | null;
  last: Uint8Array | null;
  out: Pipe | null;
}

export class ElectionPair implements Connected {
  readonly #world: World;
  readonly #a: End;
  readonly #b: End;
  #isUp = false;
  #isDialing = false;
  readonly isOver = false;

  constructor(world: World, a: Member, b: Member) {
    this.#world = world;
    this.#a = { member: a, slot: null, last: null, out: null };
    this.#b = { member: b, slot: null, last: null, out: null };
  }

  #endOf(member: Member): End {
    return member === this.#a.member ? this.#a : this.#b;
  }

  #otherOf(end: End): End {
    return end === this.#a ? this.#b : this.#a;
  }

  joins(a: number, b: number): boolean {
    const { sid } = this.#a.member;
    return sid === a ? this.#b.member.sid === b : sid === b && this.#b.member.sid === a;
  }

  send(from: Member, bytes: Uint8Array): void {
    const end = this.#endOf(from);
    end.slot = bytes;
    if (this.#isUp) this.#flush(end);
    else this.#dial();
  }

  #flush(end: End): void {
    const bytes = end.slot ?? end.last;
    if (bytes === null) return;
    end.slot = null;
    end.last = bytes;
    end.out?.write(bytes);
  }

  #dial(): void {
    if (this.#isDialing) return;
    this.#isDialing = true;
    const { timeline, chance, plan, network } = this.#world;
    const a = this.#a.member;
    const b = this.#b.member;
    timeline.after(chance.longTail(plan.netMsMin, plan.netMsMax) * 2, () => {
      this.#isDialing = false;
      if (this.#isUp || !a.isUp || !b.isUp || a.isFrozen || b.isFrozen) return;
      if (network.isBroken(a.sid, b.sid)) return;
      this.#up();
    });
  }

  #up(): void {
    this.#isUp = true;
    this.#a.out = this.#pipe(this.#a, this.#b);
    this.#b.out = this.#pipe(this.#b, this.#a);
    for (const end of [this.#a, this.#b]) {
      const { sid } = this.#otherOf(end).member;
      end.member.tellVoter("voterUp", sid);
      if (this.#isUp) this.#flush(end);
    }
  }

  #pipe(from: End, to: End): Pipe {
    const { timeline, chance, plan, network } = this.#world;
    const traits = { delayMsMin: plan.netMsMin, delayMsMax: plan.netMsMax, cutsMax: 1 };
    return new Pipe(timeline, chance, traits, {
      isOpen: () => !to.member.isFrozen && !network.isStalled(from.member.sid, to.member.sid),
      deliver: (bytes) => to.member.vote(from.member.sid, bytes),
      ended: () => {},
      moved: () => {},
    });
  }

  pump(): void {
    this.#a.out?.pump();
    this.#b.out?.pump();
  }

  reset(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const end of [this.#a, this.#b]) {
      end.out?.kill();
      end.out = null;
      const { generation } = end.member;
      end.member.whenAwake(() => {
        if (end.member.generation !== generation || this.#isUp) return;
        end.member.tellVoter("voterDown", this.#otherOf(end).member.sid);
      });
    }
  }

  crashed(member: Member, silently: boolean): void {
    const end = this.#endOf(member);
    if (end.member !== member) return;
    end.slot = end.last = null;
    if (!this.#isUp) return;
    if (silently) {
      this.#a.out?.kill();
      this.#b.out?.kill();
    } else this.reset();
  }

  restarted(member: Member): void {
    if (this.#endOf(member).member === member && this.#a.out?.isDead === true) this.reset();
  }
}
