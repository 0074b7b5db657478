/**
 * Client line: a client's connection to one member, two pipes of frames.
 */
import type { Connection } from "../../src/core/peer/connection.ts";
import type { Client } from "./client.ts";
import type { Member } from "./member.ts";
import type { Connected } from "./network.ts";
import { Pipe } from "./pipe.ts";
import type { World } from "./world.ts";

export class ClientLine implements Connected {
  readonly #world: World;
  readonly client: Client;
  readonly member: Member;
  #connection: Connection | null = null;
  readonly #up: Pipe;
  readonly #down: Pipe;
  /** The client's side is over. */
  isClosed = false;
  #memberIsGone = false;
  #heldBack: Uint8Array | null = null;
  #sentCount = 0;

  private constructor(world: World, client: Client, member: Member) {
    this.#world = world;
    this.client = client;
    this.member = member;
    const { timeline, chance, plan, network } = world;
    const traits = { delayMsMin: plan.netMsMin, delayMsMax: plan.netMsMax, cutsMax: 1 };
    this.#up = new Pipe(timeline, chance, traits, {
      isOpen: () =>
        !member.isFrozen && !network.isStalled(client.id, member.sid) &&
        (this.#connection === null || member.mayTake(this.#connection)),
      deliver: (bytes) => {
        if (this.#connection !== null) member.clientFrame(this.#connection, bytes);
      },
      ended: () => this.#tellMember(),
      moved: () => {},
    });
    this.#down = new Pipe(timeline, chance, traits, {
      isOpen: () => !network.isStalled(member.sid, client.id),
      deliver: (bytes) => client.heard(this, bytes),
      ended: () => this.#overForClient(),
      moved: () => {},
    });
  }

  /** Null: nobody accepts. */
  static open(world: World, client: Client, member: Member): ClientLine | null {
    const line = new ClientLine(world, client, member);
    line.#connection = member.open(line);
    if (line.#connection === null) return null;
    world.network.add(line);
    return line;
  }

  get isOver(): boolean {
    return this.isClosed && this.#memberIsGone;
  }

  joins(a: number, b: number): boolean {
    return (this.client.id === a && this.member.sid === b) || (this.client.id === b && this.member.sid === a);
  }

  pump(): void {
    this.#up.pump();
    this.#down.pump();
  }

  /** Something has arrived that the member does not take yet. */
  get isWaiting(): boolean {
    return this.#up.isWaiting;
  }

  #tellMember(): void {
    const connection = this.#connection;
    if (this.#memberIsGone || connection === null) return;
    this.#memberIsGone = true;
    const { generation } = this.member;
    this.member.whenAwake(() => {
      if (generation === this.member.generation) this.member.clientClosed(connection);
    });
  }

  #overForClient(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.client.lost(this);
  }

  /** A frame without its length. */
  send(frame: Uint8Array): void {
    if (this.#world.plan.plant === "requestsSwapped") return this.#sendSwapped(frame);
    this.#up.write(frame);
  }

  /** Every seventh frame lets the next one pass; what opens the session stays first. */
  #sendSwapped(frame: Uint8Array): void {
    const before = this.#heldBack;
    this.#heldBack = null;
    if (++this.#sentCount % 7 === 0) this.#heldBack = frame;
    else this.#up.write(frame);
    if (before !== null) this.#up.write(before);
  }

  /** What the member wrote in one turn: whole frames. */
  write(bytes: Uint8Array): void {
    this.#down.write(bytes);
  }

  close(): void {
    this.isClosed = true;
    this.#down.kill();
    this.#up.end();
  }

  /** The core asked for the end; what was written before still arrives. */
  memberCloses(): void {
    this.#memberIsGone = true;
    this.#up.kill();
    this.#down.end();
  }

  memberDied(silently: boolean): void {
    this.#memberIsGone = true;
    this.#up.kill();
    if (silently) return this.#down.kill();
    if (this.#world.chance.happens(0.5)) this.#down.end();
    else this.#breakSoon();
  }

  #breakSoon(): void {
    this.#down.kill();
    this.#world.timeline.after(this.#world.chance.ms(0, 3), () => this.#overForClient());
  }

  reset(): void {
    this.#up.kill();
    this.#breakSoon();
    this.#tellMember();
  }
}
