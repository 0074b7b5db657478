/**
 * Network: which ways carry what, and all connections on them.
 *
 * A way is an ordered pair of ids (members by sid, clients from `clientIdFirst` on). Three things can
 * be wrong: a way is stalled (what is sent waits, nobody is told), a pair is cut (its connections are
 * reset, new ones refused), or a single connection is reset. Healing ends the first two.
 */
import { ElectionPair } from "./election_pair.ts";
import type { Member } from "./member.ts";
import { QuorumConnection } from "./quorum_connection.ts";
import type { World } from "./world.ts";

export const clientIdFirst = 100;
const idsMax = 1000;

export interface Connected {
  /** Tries to deliver what waits. */
  pump(): void;
  /** Breaks; both sides are told. */
  reset(): void;
  /** Is it between these two, in whatever direction? */
  joins(a: number, b: number): boolean;
  readonly isOver: boolean;
}

export class Network {
  readonly #world: World;
  readonly #stalled = new Map<number, number>();
  readonly #cut = new Map<number, number>();
  readonly #pairs = new Map<number, ElectionPair>();
  #connections: Connected[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  isStalled(from: number, to: number): boolean {
    return this.#stalled.size > 0 && this.#stalled.has(from * idsMax + to);
  }

  isCut(a: number, b: number): boolean {
    return this.#cut.size > 0 && this.#cut.has(Math.min(a, b) * idsMax + Math.max(a, b));
  }

  /** Nothing can be set up between them now. */
  isBroken(a: number, b: number): boolean {
    return this.isCut(a, b) || this.isStalled(a, b) || this.isStalled(b, a);
  }

  add(connection: Connected): void {
    this.#connections = this.#connections.filter((one) => !one.isOver);
    this.#connections.push(connection);
  }

  get connections(): readonly Connected[] {
    return this.#connections;
  }

  // --------------------------------------------------------------------------------------- faults

  /** Faults may overlap, so they are counted; each is undone by itself or by `heal`. */
  stall(from: number, to: number): () => void {
    const key = from * idsMax + to;
    this.#stalled.set(key, (this.#stalled.get(key) ?? 0) + 1);
    return () => {
      const left = (this.#stalled.get(key) ?? 0) - 1;
      if (left > 0) this.#stalled.set(key, left);
      else if (this.#stalled.delete(key)) this.pumpAll();
    };
  }

  cut(a: number, b: number): () => void {
    const key = Math.min(a, b) * idsMax + Math.max(a, b);
    this.#cut.set(key, (this.#cut.get(key) ?? 0) + 1);
    this.reset(a, b);
    return () => {
      const left = (this.#cut.get(key) ?? 0) - 1;
      if (left > 0) this.#cut.set(key, left);
      else this.#cut.delete(key);
    };
  }

  reset(a: number, b: number): void {
    for (const one of this.#connections) if (!one.isOver && one.joins(a, b)) one.reset();
  }

  heal(): void {
    this.#stalled.clear();
    this.#cut.clear();
    for (const one of this.#connections) if (!one.isOver && one instanceof QuorumConnection) one.heal();
    this.pumpAll();
  }

  pumpAll(): void {
    for (const one of this.#connections) if (!one.isOver) one.pump();
  }

  // ------------------------------------------------------------------------------------- election

  pair(a: number, b: number): ElectionPair {
    const key = Math.min(a, b) * idsMax + Math.max(a, b);
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      pair = new ElectionPair(this.#world, this.#world.member(a), this.#world.member(b));
      this.#pairs.set(key, pair);
      this.add(pair);
    }
    return pair;
  }

  // --------------------------------------------------------------------------------------- quorum

  /** One try to reach `leader`; `done` is told the connection, or null. */
  dialQuorum(
    learner: Member,
    leader: Member,
    port: "quorum" | "observers",
    done: (connection: QuorumConnection | null) => void,
  ): void {
    const { timeline, chance, plan } = this.#world;
    const delay = () => chance.longTail(plan.netMsMin, plan.netMsMax);
    timeline.after(delay(), () => {
      const listens = port === "quorum" || leader.peer?.servesObservers === true;
      if (!leader.isUp || leader.isFrozen || !listens || this.isBroken(learner.sid, leader.sid)) {
        timeline.after(delay(), () => done(null));
        return;
      }
      const connection = new QuorumConnection(this.#world, learner, leader, port);
      this.add(connection);
      timeline.after(delay(), () => done(connection.isOver ? null : connection));
    });
  }

  /** The process of this member is gone, with or without a word. */
  crashed(member: Member, silently: boolean): void {
    for (const one of this.#connections) {
      if (one.isOver) continue;
      if (one instanceof QuorumConnection || one instanceof ElectionPair) one.crashed(member, silently);
    }
  }

  /** It is back: who still believed in an old connection learns better. */
  restarted(member: Member): void {
    for (const one of this.#connections) {
      if (one.isOver) continue;
      if (one instanceof QuorumConnection || one instanceof ElectionPair) one.restarted(member);
    }
  }
}
