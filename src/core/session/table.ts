/**
 * Sessions: who is alive.
 *
 * A session exists on every peer as id and timeout (by txn); on the peer that expires it, it also
 * has a deadline. Deadlines fall on multiples of the tick (server-semantics 8.4), and a session sits
 * in the bucket of one tick. Touching only moves the deadline; the session moves when the tick of
 * its bucket comes and it turns out to be alive. So a renewal is one store, however many sessions.
 */
import { must } from "../base/assert.ts";
import { sessionHi, type SessionId, sessionLo } from "../base/zxid.ts";
import { passwordOf } from "./password.ts";

export class Session {
  readonly id: SessionId;
  readonly hi: number;
  readonly lo: number;
  timeoutMs: number;
  /** A closeSession is proposed: nothing more is accepted. */
  closing = false;
  /** Number of the connection that holds it here, or 0. */
  connection = 0;
  /** Monotonic ms, a multiple of the tick. */
  deadlineMs = 0;
  /** The last proposal that makes an ephemeral of this session; 0 for none. */
  zxidEphemeral = 0;

  constructor(id: SessionId, timeoutMs: number) {
    this.id = id;
    this.hi = sessionHi(id);
    this.lo = sessionLo(id);
    this.timeoutMs = timeoutMs;
  }

  get password(): Uint8Array<ArrayBuffer> {
    return passwordOf(this.id);
  }
}

export class SessionTable {
  readonly #tickMs: number;
  readonly #byId = new Map<SessionId, Session>();
  readonly #buckets = new Map<number, Set<Session>>();

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Session> {
    return this.#byId.values();
  }

  /** A session from a txn or a snapshot. Known already: only its timeout is set. */
  open(id: SessionId, timeoutMs: number): Session {
    const known = this.#byId.get(id);
    if (known !== undefined) {
      known.timeoutMs = timeoutMs;
      return known;
    }
    const session = new Session(id, timeoutMs);
    this.#byId.set(id, session);
    return session;
  }

  close(id: SessionId): void {
    this.#byId.delete(id);
  }

  /** Nobody is alive any more, as when the table was new. */
  clear(): void {
    this.#byId.clear();
    this.#buckets.clear();
  }

  /** The first multiple of the tick after `now + timeout`. */
  touch(session: Session, nowMs: number): void {
    session.deadlineMs = (Math.floor((nowMs + session.timeoutMs) / this.#tickMs) + 1) * this.#tickMs;
  }

  /** Starts to watch a session's deadline. */
  watch(session: Session, nowMs: number): void {
    this.touch(session, nowMs);
    this.#put(session);
  }

  #put(session: Session): void {
    const bucket = this.#buckets.get(session.deadlineMs);
    if (bucket === undefined) this.#buckets.set(session.deadlineMs, new Set([session]));
    else bucket.add(session);
  }

  /** Sessions whose deadline has come; those that were touched since move on. */
  expired(nowMs: number): Session[] {
    const dead: Session[] = [];
    const due = [...this.#buckets.keys()].filter((tick) => tick <= nowMs).sort((a, b) => a - b);
    for (const tick of due) {
      const bucket = must(this.#buckets.get(tick), "a due bucket is there");
      this.#buckets.delete(tick);
      for (const session of bucket) {
        if (this.#byId.get(session.id) !== session || session.closing) continue;
        if (session.deadlineMs > nowMs) this.#put(session);
        else dead.push(session);
      }
    }
    return dead;
  }
}
