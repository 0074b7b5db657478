/**
 * Lone member: a real peer in an ensemble whose other members are played by the test, packet by packet.
 */
import { encodeNotification, VoterState } from "../../../src/core/wire/votes.ts";
import type { Link } from "../../../src/core/zab/link.ts";
import { Seat, type SeatOptions } from "./seat.ts";
import {
  ack,
  ackEpoch,
  diff,
  followerInfo,
  leaderInfo,
  Listener,
  newLeader,
  observerInfo,
  upToDate,
  z,
} from "./told.ts";

/** The test's end of one quorum link. */
export class Far {
  readonly #member: LoneMember;
  readonly link: Link;
  readonly #listener = new Listener();
  #lines: string[] = [];
  closed = false;

  constructor(member: LoneMember, link: Link) {
    this.#member = member;
    this.link = link;
  }

  get packets(): readonly Uint8Array[] {
    return this.#listener.packets;
  }

  hear(bytes: Uint8Array): void {
    this.#lines.push(...this.#listener.hear(bytes));
  }

  send(...parts: readonly Uint8Array[]): void {
    for (const bytes of parts) {
      if (this.closed) return;
      this.#member.step({ kind: "linkBytes", link: this.link.number, bytes, start: 0, end: bytes.length });
    }
  }

  /** What was told since the last take, a line each. */
  take(): string[] {
    return this.#lines.splice(0);
  }

  /** The connection ends at this side. */
  hangUp(): void {
    if (this.closed) return;
    this.closed = true;
    this.#member.step({ kind: "linkClosed", link: this.link.number });
  }
}

export class LoneMember extends Seat {
  readonly fars = new Map<Link, Far>();

  override onLinkBytes(link: Link, bytes: Uint8Array): void {
    this.fars.get(link)?.hear(bytes);
  }

  override onLinkClosing(link: Link): void {
    const far = this.fars.get(link);
    if (far !== undefined) far.closed = true;
  }

  /** Somebody connects to our quorum port, or to the one for observers. */
  accept(port: "quorum" | "observers" = "quorum"): Far {
    const link = this.peer.acceptLink("10.0.0.9:50000", this.monoMs, port);
    const far = new Far(this, link);
    this.fars.set(link, far);
    this.turn();
    return far;
  }

  /** The leader that is wanted answers. */
  dial(): Far {
    if (this.peer.dialWanted === null) throw new Error("Nobody is to be dialed");
    const link = this.peer.dialed(`10.0.0.${this.peer.dialWanted.sid}:2888`, this.monoMs);
    const far = new Far(this, link);
    this.fars.set(link, far);
    this.turn();
    return far;
  }

  vote(from: number, state: VoterState, leader: number, zxid: number, round: number, epoch: number): void {
    const config = new TextEncoder().encode("version=0");
    const bytes = encodeNotification(state, { leader, zxid, round, epoch }, config);
    this.step({ kind: "vote", from, bytes });
  }

  /** The others look as well, and agree that this member is to lead. */
  elect(): void {
    const { voters } = this.peer.member?.quorum ?? { voters: [] };
    for (let i = 0; i < 200 && this.peer.part === "settling"; i++) this.tick(10);
    const round = (this.peer.election?.round ?? 0) + 1;
    for (const sid of voters) {
      if (sid === this.sid) continue;
      this.step({ kind: "voterUp", sid });
      this.vote(sid, VoterState.Looking, this.sid, this.peer.ledger.durable, round, this.peer.epochs.current);
    }
    for (let i = 0; i < 20 && this.peer.leader === null; i++) this.tick(10);
    if (this.peer.leader === null) throw new Error("It was not elected");
  }

  /** The others follow this leader already. */
  elected(leader: number, epoch = 1): void {
    const { voters } = this.peer.member?.quorum ?? { voters: [] };
    for (const sid of voters) {
      if (sid === this.sid) continue;
      this.step({ kind: "voterUp", sid });
      const state = sid === leader ? VoterState.Leading : VoterState.Following;
      this.vote(sid, state, leader, 0, 1, epoch);
    }
    if (this.peer.learner === null) throw new Error("It did not choose to follow");
  }

  static leading(options: SeatOptions): LoneMember {
    const member = new LoneMember(options);
    member.begin();
    member.elect();
    return member;
  }

  /** It follows or observes server 3, which answered. */
  static learning(options: SeatOptions): { member: LoneMember; leader: Far } {
    const member = new LoneMember(options);
    member.begin();
    member.elected(3);
    return { member, leader: member.dial() };
  }
}

/** A learner that does all as it should until UPTODATE; `epoch` is the leader's. */
export function join(
  member: LoneMember,
  sid: number,
  options: { readonly observer?: boolean; readonly zxid?: number; readonly current?: number } = {},
): Far {
  const far = member.accept();
  far.send((options.observer === true ? observerInfo : followerInfo)(sid, options.current ?? 0));
  far.send(ackEpoch(options.current ?? 0, options.zxid ?? 0));
  return far;
}

/** A leader of three with both followers active: it broadcasts. */
export function broadcasting(options: SeatOptions = { sid: 3 }): {
  member: LoneMember;
  followers: readonly [Far, Far];
} {
  const member = LoneMember.leading(options);
  const { last: zxid, current } = member.store;
  const followers = [1, 2].map((sid) => {
    const far = member.accept();
    far.send(followerInfo(sid, current));
    return far;
  }) as unknown as [Far, Far];
  for (const far of followers) far.send(ackEpoch(current, zxid));
  const epoch = member.peer.leader?.epoch ?? 0;
  for (const far of followers) {
    far.send(ack(z(epoch, 0)));
    far.send(ack(z(epoch, 0)));
    far.take();
  }
  if (member.peer.leader?.phase !== "broadcast") throw new Error("It does not broadcast");
  return { member, followers };
}

/** A learner of server 3 that is level with its empty leader and serves. */
export function following(options: SeatOptions = { sid: 1 }): { member: LoneMember; leader: Far } {
  const { member, leader } = LoneMember.learning(options);
  leader.send(leaderInfo(1), diff(member.store.last), newLeader(1), upToDate);
  leader.take();
  if (!member.peer.serving) throw new Error(`It does not serve: ${member.told.join(", ")}`);
  return { member, leader };
}
