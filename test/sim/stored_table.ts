/**
 * Stored table: the real table of one member, in a database in memory, and the real follower of the
 * log that fills it. The member starts from it.
 */
import { walkTxn } from "../../src/core/wire/txns.ts";
import type { Loader } from "../../src/core/peer/loader.ts";
import { insertRows } from "../../src/storage/replacement.ts";
import { putMetaRow } from "../../src/storage/checksums.ts";
import { metaSql, treeSchema } from "../../src/storage/schema.ts";
import { fillFreshTree, TreeFile } from "../../src/storage/tree_file.ts";
import { PathTaken, TreeFollower } from "../../src/storage/tree_follower.ts";
import { packRows } from "../../src/storage/tree_rows.ts";
import { sqlite } from "../support/runtime_storage.ts";
import { type Plant, plantInFollower } from "./plants.ts";
import type { Chance } from "./prng.ts";
import { hex, hold } from "./violation.ts";

interface LoggedTxn {
  readonly zxid: number;
  /** With its length before it. */
  readonly bytes: Uint8Array;
}

export class StoredTable {
  readonly #chance: Chance;
  readonly #plant: Plant;
  #tree: TreeFile;

  constructor(chance: Chance, plant: Plant, zxid: number) {
    this.#chance = chance;
    this.#plant = plant;
    this.#tree = freshTree(zxid);
  }

  get zxid(): number {
    return this.#tree.zxid;
  }

  close(): void {
    this.#tree.close();
  }

  /** A snapshot takes the place of everything. */
  replace(rows: readonly Uint8Array[], sessions: readonly number[], zxid: number): void {
    this.#tree.close();
    const tree = this.#tree = emptyTree();
    tree.begin();
    for (const bytes of rows) hold(insertRows(tree, bytes), "rows are whole", () => `of ${hex(zxid)}`);
    for (let i = 0; i < sessions.length; i += 3) {
      tree.putSession(sessions[i] as number, sessions[i + 1] as number, sessions[i + 2] as number);
    }
    tree.commit(zxid, 0);
  }

  /** In chunks of any length. */
  follow(txns: readonly LoggedTxn[], upTo: number): void {
    const behind = txns.filter(({ zxid }) => zxid > this.zxid && zxid <= upTo);
    for (let at = 0; at < behind.length;) {
      const chunk = behind.slice(at, at + this.#chance.between(1, 40));
      try {
        this.#write(chunk, false);
      } catch (error) {
        if (!(error instanceof PathTaken)) throw error;
        this.#write(chunk, true);
      }
      at += chunk.length;
    }
  }

  #write(chunk: readonly LoggedTxn[], careful: boolean): void {
    const tree = this.#tree;
    const follower = new TreeFollower(tree, careful);
    plantInFollower(this.#plant, follower, tree);
    for (const { bytes, zxid } of chunk) {
      hold(walkTxn(bytes, 4, bytes.length, follower), "txns are well-formed", () => hex(zxid));
    }
    tree.begin();
    try {
      for (const _ of follower.flush());
    } catch (error) {
      tree.rollback();
      throw error;
    }
    tree.commit(chunk.at(-1)?.zxid ?? tree.zxid, tree.total + chunk.length);
  }

  /** All rows and sessions, as a start reads them. */
  fill(loader: Loader): void {
    const tree = this.#tree;
    let znodes = 0;
    for (const { bytes, rows } of packRows(tree)) {
      loader.rows(bytes);
      znodes += rows;
    }
    const sessions = tree.sessions();
    for (let i = 0; i < sessions.length; i += 3) {
      loader.session(sessions[i] as number, sessions[i + 1] as number, sessions[i + 2] as number);
    }
    tree.settle(znodes, sessions.length / 3);
  }
}

function emptyTree(): TreeFile {
  const database = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  database.exec(treeSchema);
  const put = database.prepare(metaSql.put);
  for (const name of ["zxid", "total", "znodes", "sessions"]) putMetaRow(put, name, 0);
  return new TreeFile(database, "tree");
}

function freshTree(zxid: number): TreeFile {
  const database = sqlite.open({ path: ":memory:", readonly: false, mustExist: false });
  database.exec(treeSchema);
  fillFreshTree(database, "test");
  const tree = new TreeFile(database, "tree");
  tree.begin();
  tree.commit(zxid, 0);
  return tree;
}
