/**
 * Judge: what the leader knows while it turns a wish into a txn or a refusal.
 *
 * Each op's `prepare` reads the request's body from `reader`, asks the overlay, and either writes the
 * txn's record to `txn` and the change to the overlay, or returns an error code and leaves both as
 * they were (what was written to `txn` is cut off by the caller). Nothing here waits or does I/O.
 */
import type { Lengths } from "../base/limits.ts";
import type { Acl, AclLoose, Id } from "../wire/records.ts";
import { Reader } from "../wire/reader.ts";
import { txnDigestBytes } from "../wire/txns.ts";
import { Writer } from "../wire/writer.ts";
import { type AuthOptions, normalizeAcls } from "../session/auth.ts";
import type { Session } from "../session/table.ts";
import { aclAllows, aclIdOpen } from "../tree/acl.ts";
import { type Overlay, Pending } from "../tree/overlay.ts";
import type { Quotas } from "../tree/quota.ts";
import type { Tree } from "../tree/tree.ts";

export interface JudgeOptions {
  /** TTL znodes are allowed. */
  readonly extendedTypes: boolean;
  readonly skipAcl: boolean;
  readonly enforceQuota: boolean;
  readonly closeSessionTxn: boolean;
  /**
   * A create2 within a multi is written as a create: members before 3.8.2 do not know it there and
   * silently leave out the rest of the multi.
   */
  readonly multiCreatesPlain?: boolean;
  readonly auth: AuthOptions;
}

const nobody: readonly Id[] = [];

export class Judge {
  readonly tree: Tree;
  readonly overlay: Overlay;
  readonly quotas: Quotas;
  readonly options: JudgeOptions;
  readonly lengths: Lengths;
  readonly reader = new Reader();
  /** The txn being written. */
  txn: Writer = new Writer();
  /** Where it must be over, its digest included: learners take no longer ones. */
  txnEnd = 0;
  zxid = 0;
  /** The type that the txn will have: the op, unless its flags say better. */
  type = 0;
  /** What is applied: proposals above it are in flight. */
  zxidApplied = 0;
  timeMs = 0;
  session: Session | null = null;
  identities: readonly Id[] = nobody;
  /** Two looks at once are enough: a parent and a child. */
  readonly parentLook = new Pending();
  readonly nodeLook = new Pending();

  constructor(tree: Tree, overlay: Overlay, quotas: Quotas, options: JudgeOptions, lengths: Lengths) {
    this.tree = tree;
    this.overlay = overlay;
    this.quotas = quotas;
    this.options = options;
    this.lengths = lengths;
  }

  /** Is what was written, and so many bytes more, no longer than a txn may be? Asked before the overlay is changed. */
  fits(bytes = 0): boolean {
    return this.txn.length + bytes + txnDigestBytes <= this.txnEnd;
  }

  /** The list as it will be stored, or null where it is not acceptable. */
  normalAcls(acls: readonly AclLoose[] | null): Acl[] | null {
    return normalizeAcls(acls, this.identities, this.options.auth, this.lengths.frameBytesMax);
  }

  allows(acl: number, perms: number): boolean {
    if (acl === aclIdOpen || this.options.skipAcl) return true;
    return aclAllows(this.tree.acls.list(acl), perms, this.identities);
  }
}

/** The next version; never -1, which means "any" in a request (fixed after 3.9 in the original). */
export function versionNext(version: number): number {
  const next = (version + 1) | 0;
  return next === -1 ? 0 : next;
}
