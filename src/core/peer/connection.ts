/**
 * Connection: one client's line to this peer, as the core sees it.
 *
 * Replies and events are encoded straight into `out`; the shell sends what `flow` has once per turn.
 * `order` keeps the order of replies (client_order.ts).
 */
import type { Writer } from "../wire/writer.ts";
import type { Id } from "../wire/records.ts";
import type { Session } from "../session/table.ts";
import type { SessionId } from "../base/zxid.ts";
import { ClientOrder } from "./client_order.ts";
import { Outflow, UnsentTotal } from "./outflow.ts";

export const ConnectionState = {
  /** Nothing was heard yet. */
  Fresh: 0,
  /** A session is being created or comes back; nothing more is taken until it is there. */
  Opening: 1,
  Open: 2,
  /** closeSession was asked for; what arrives is dropped. */
  Closing: 3,
  Closed: 4,
  /** Its ConnectRequest waits for a leader; nothing more is read. */
  Held: 5,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

export class Connection {
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly secure: boolean;
  readonly flow: Outflow;
  /** The end of `flow`. */
  readonly out: Writer;
  readonly order = new ClientOrder();
  state: ConnectionState = ConnectionState.Fresh;
  identities: readonly Id[];
  session: Session | null = null;
  /** The id that a createSession in flight will give it. */
  sessionOffered: SessionId = 0n as SessionId;
  /** Zxids of containers in flight that were asked for with a plain create, which is answered by the path alone. */
  readonly plainCreates = new Set<number>();
  /** Cxids of writes that went to the leader and did not come back as commits, oldest first from `forwardedHead`. */
  forwarded: number[] = [];
  forwardedHead = 0;
  /** Txns in flight that name this connection. */
  writesInFlight = 0;
  establishedWallMs = 0;
  /** The ConnectRequest carried the read-only byte, so the answer does. */
  hasReadOnlyByte = false;
  /** In the outbox's list of connections with something to send. */
  dirty = false;
  /** Its line is over, and its watches are being taken away. */
  isTidied = true;
  /** So far behind that its line is cut, not ended in order. */
  isCut = false;
  /** Marks who was told of the change being applied. */
  toldAt = 0;

  packetsReceived = 0;
  packetsSent = 0;
  establishedMs = 0;
  opLast = 0;
  cxidLast = -1;
  zxidLast = -1;
  responseLastMs = 0;
  latencyLastMs = 0;
  latencyMinMs = Number.MAX_VALUE;
  latencyMaxMs = 0;
  latencySumMs = 0;
  latencyCount = 0;

  constructor(number: number, address: string, port: number, secure: boolean, unsent = new UnsentTotal()) {
    this.flow = new Outflow(unsent);
    this.out = this.flow.out;
    this.number = number;
    this.address = address;
    this.port = port;
    this.secure = secure;
    this.identities = [{ scheme: "ip", id: address }];
  }

  pushForwarded(cxid: number): void {
    this.forwarded.push(cxid);
  }

  /** Is this the cxid of the oldest write that went to the leader? Then it is taken out. */
  shiftForwarded(cxid: number): boolean {
    if (this.forwardedHead === this.forwarded.length || this.forwarded[this.forwardedHead] !== cxid) {
      return false;
    }
    this.forwardedHead++;
    if (this.forwardedHead === this.forwarded.length) {
      this.forwarded.length = 0;
      this.forwardedHead = 0;
    } else if (this.forwardedHead >= 1024) {
      this.forwarded.splice(0, this.forwardedHead);
      this.forwardedHead = 0;
    }
    return true;
  }

  countReply(latencyMs: number, nowMs: number, zxid: number): void {
    this.responseLastMs = nowMs;
    this.zxidLast = zxid;
    this.latencyLastMs = latencyMs;
    if (latencyMs < this.latencyMinMs) this.latencyMinMs = latencyMs;
    if (latencyMs > this.latencyMaxMs) this.latencyMaxMs = latencyMs;
    this.latencySumMs += latencyMs;
    this.latencyCount++;
  }

  resetStats(): void {
    this.latencyLastMs =
      this.latencyMaxMs =
      this.latencySumMs =
      this.latencyCount =
        0;
    this.latencyMinMs = Number.MAX_VALUE;
    this.packetsReceived = this.packetsSent = 0;
    this.opLast = 0;
    this.cxidLast = this.zxidLast = -1;
    this.responseLastMs = 0;
  }
}
