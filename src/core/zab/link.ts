/**
 * Link: one connection of the quorum port, as the core sees it. On the leader it goes to a learner,
 * on a learner to its leader.
 *
 * Packets are encoded straight into `out`; the shell sends what is there once per turn and hands in
 * what arrives, cut anywhere: the packets are found here, because a snapshot in the middle of the
 * stream has no frame of its own.
 */
import { Writer } from "../wire/writer.ts";

export class Link {
  /** Never used twice in the life of a peer. */
  readonly number: number;
  /** `host:port` of the other side, for messages. */
  readonly remote: string;
  readonly out = new Writer();
  /** In the outbox's list of links with something to send. */
  dirty = false;
  closed = false;
  /** The core asks the shell to read nothing more for now. */
  paused = false;
  /** The core wants `linkDrained` once all that it wrote has left for the kernel. */
  wantsDrain = false;
  /** The shell's note: bytes that the kernel did not take yet. */
  unsentBytes = 0;

  constructor(number: number, remote: string) {
    this.number = number;
    this.remote = remote;
  }
}

/** Where what is to be sent and told is collected; the peer's outbox. */
export interface LinkOutbox {
  /** Links to close at once. */
  readonly linksClosing: Link[];
  touchLink(link: Link): void;
  note(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    message: string,
    fields?: Readonly<Record<string, string | number>>,
  ): void;
}
