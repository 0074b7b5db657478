/**
 * World: one ensemble, its network, disks and clients, from one seed.
 *
 * First the faults, then they heal; then everybody must be serving, equal and able to write before a
 * limit. Any error that is thrown on the way, an assertion of the core too, is what the run found.
 */
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../../src/core/base/quorum.ts";
import { History } from "./checkers/history.ts";
import { Leaders } from "./checkers/leaders.ts";
import { Client } from "./client.ts";
import { Coverage } from "./coverage.ts";
import { startFaults } from "./faults.ts";
import { Member } from "./member.ts";
import { clientIdFirst, Network } from "./network.ts";
import type { Plan } from "./plan.ts";
import { Chance } from "./prng.ts";
import { Timeline } from "./timeline.ts";
import { hex, Violation } from "./violation.ts";

/** How long an operator looks on before a leader is started anew. */
const operatorMs = 10_000;
/** After the faults have healed, this much virtual time is enough for anybody. */
const progressMsMax = 60_000;
const momentsMax = 400_000;

export interface WorldOptions {
  readonly coverage: Coverage;
  /** Also look at what no client could see: who has what on disk when it is acknowledged. */
  readonly strict: boolean;
  readonly tell: ((line: string) => void) | null;
}

export class World {
  readonly plan: Plan;
  readonly coverage: Coverage;
  readonly isStrict: boolean;
  readonly timeline = new Timeline();
  readonly chance: Chance;
  readonly network: Network;
  readonly history: History;
  readonly leaders: Leaders;
  /** As members are told. */
  readonly quorum: Quorum;
  readonly quorumTrue: Quorum;
  readonly members: Member[] = [];
  readonly clients: Client[] = [];
  readonly #tell: ((line: string) => void) | null;
  /** So many committed txns any client has seen. */
  seenCount = 0;
  /** No fault happens any more. */
  isHealed = false;

  constructor(plan: Plan, options: WorldOptions) {
    this.plan = plan;
    this.coverage = options.coverage;
    this.isStrict = options.strict;
    this.#tell = options.tell;
    this.chance = new Chance(plan.seed).fork("world");
    this.network = new Network(this);
    this.history = new History(this);
    this.leaders = new Leaders();
    this.quorumTrue = plan.groups === null
      ? new MajorityQuorum(plan.voters)
      : new HierarchicalQuorum(plan.groups);
    this.quorum = plan.plant === "commitWithoutQuorum" ? new TooSmallQuorum(plan.voters) : this.quorumTrue;
    for (const sid of [...plan.voters, ...plan.observers]) this.members.push(new Member(this, sid));
  }

  member(sid: number): Member {
    const member = this.members[sid - 1];
    if (member === undefined) throw new Error(`There is no member ${sid}`);
    return member;
  }

  /** A client was told something as of this zxid. */
  seen(zxid: number): void {
    this.seenCount = Math.max(this.seenCount, this.history.countUpTo(zxid));
  }

  get isTraced(): boolean {
    return this.#tell !== null;
  }

  trace(line: () => string): void {
    this.#tell?.(`${this.timeline.nowMs.toFixed(2).padStart(9)}  ${line()}`);
  }

  // ------------------------------------------------------------------------------------------ run

  run(): void {
    const { plan, timeline } = this;
    for (const member of this.members) timeline.after(this.chance.longTail(0, 300), () => member.start());
    for (let i = 0; i < plan.clients; i++) this.#addClient(null);
    startFaults(this);
    while (timeline.next(plan.faultsEndMs)) this.#bound();
    this.#heal();
    const limitMs = timeline.nowMs + progressMsMax;
    let lookAtMs = 0;
    let operatorAtMs = timeline.nowMs + operatorMs;
    for (;;) {
      if (timeline.nowMs >= operatorAtMs) {
        operatorAtMs += operatorMs;
        this.#letIn();
      }
      if (timeline.nowMs >= lookAtMs) {
        if (this.#isConverged()) break;
        lookAtMs = timeline.nowMs + 20;
      }
      this.#bound();
      if (!timeline.next(limitMs)) throw new Violation("progress", this.#whyNot());
    }
    this.#compare();
  }

  #bound(): void {
    if (this.timeline.count > momentsMax) {
      throw new Violation("no storms", `${momentsMax} moments; ${this.#whyNot()}`);
    }
  }

  /** A voter that promised a later epoch follows the next leader alone: an operator starts this one anew. */
  #letIn(): void {
    const leader = this.members.find(({ peer }) => peer?.isLeading === true);
    if (leader === undefined) return;
    const { accepted } = leader.disk;
    if (this.members.some(({ peer, disk }) => peer?.serving === false && disk.accepted > accepted)) {
      this.trace(() => `the leader ${leader.sid} is started anew, to let in who promised a later epoch`);
      leader.crash(false, 500);
    }
  }

  #addClient(home: number | null): void {
    const client = new Client(this, clientIdFirst + this.clients.length, home);
    this.clients.push(client);
    client.start();
  }

  #heal(): void {
    this.isHealed = true;
    this.trace(() => "everything heals");
    this.network.heal();
    for (const member of this.members) member.heal();
    for (const client of this.clients) client.retire();
    for (const { sid } of this.members) {
      if (this.plan.leaderServes) this.#addClient(sid);
    }
    if (!this.plan.leaderServes || this.chance.happens(0.25)) this.#addClient(null);
  }

  /** All serve, all know the same, nothing is on its way, and every new client got what it asked for. */
  #isConverged(): boolean {
    if (this.clients.some((client) => !client.isDone)) return false;
    const { last } = this.history;
    for (const member of this.members) {
      const { peer } = member;
      if (peer === null || member.disk.isBusy) return false;
      if (!member.isInService) return false;
      if (this.history.countUpTo(peer.zxid) !== this.history.count || peer.zxid < last) return false;
    }
    return true;
  }

  #whyNot(): string {
    const clients = this.clients.filter((client) => !client.isDone).map((client) => client.describe());
    const members = this.members.map((member) => member.describe());
    return `${members.join("; ")}; committed up to ${hex(this.history.last)}; ${
      clients.join("; ") || "clients are done"
    }`;
  }

  /** What all must agree on in the end. */
  #compare(): void {
    const [first, ...others] = this.members.map((member) => member.summary());
    for (const other of others) {
      if (first === undefined || other.text === first.text) continue;
      throw new Violation(
        "equal trees in the end",
        `${first.sid}: ${first.text}\n  ${other.sid}: ${other.text}`,
      );
    }
    for (const member of this.members) member.checkEnd();
    const orphans = this.history.model.orphans();
    if (orphans.length > 0) throw new Violation("ephemerals go with their session", orphans.join(", "));
  }
}

/** The planted one: a single vote decides. */
class TooSmallQuorum extends MajorityQuorum {
  override isQuorum(has: (sid: number) => boolean): boolean {
    let count = 0;
    for (const sid of this.voters) if (has(sid)) count++;
    return (count + 1) * 2 > this.voters.length;
  }
}
