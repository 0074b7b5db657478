/**
 * Outbox: the effects of a step, reused.
 *
 * The shell drains it once per turn: sends each dirty connection's `out`, closes what is to be
 * closed after that, appends the ledger's next batch, writes the notes to the log.
 */
import type { Connection } from "./connection.ts";
import type { LogRead } from "../zab/disk.ts";
import type { Link } from "../zab/link.ts";

/** Something an operator may want to read. `fields` are text and numbers alone. */
export interface Note {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number>>;
}

export class Outbox {
  /** Connections with bytes to send. */
  readonly dirty: Connection[] = [];
  /** Connections to close once their bytes are sent. */
  readonly closing: Connection[] = [];
  readonly notes: Note[] = [];
  /** Notifications for other members, without their length; of several to one sid only the last need be sent. */
  readonly votes: { readonly to: number; readonly bytes: Uint8Array }[] = [];
  /** Quorum links with bytes to send. */
  readonly linksDirty: Link[] = [];
  /** Quorum links to close at once. */
  readonly linksClosing: Link[] = [];
  readonly logReads: LogRead[] = [];
  /** What was committed since the last drain made the tree table's goal move. */
  committed = false;

  touch(connection: Connection): void {
    if (connection.dirty) return;
    connection.dirty = true;
    this.dirty.push(connection);
  }

  touchLink(link: Link): void {
    if (link.dirty || link.closed) return;
    link.dirty = true;
    this.linksDirty.push(link);
  }

  note(level: Note["level"], event: string, message: string, fields: Note["fields"] = {}): void {
    // A flood of bad input must not fill memory with what nobody has drained yet.
    if (this.notes.length < 1000) this.notes.push({ level, event, message, fields });
  }
}
