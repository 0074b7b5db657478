/**
 * Schema: all the SQL there is.
 *
 * Two files. `log.db` holds the txns, byte for byte, one row a batch: a row a txn costs 1.3 against
 * 0.8 µs of CPU in batches of 100, and 0.8 against 0.4 in batches of 1,000. `tree.db` holds the
 * znodes as of one zxid, which `meta` names, one row each, with columns that a person reads in the
 * sqlite3 shell.
 *
 * The znode table keeps SQLite's rowid and an index on the path. With the path as the key, names in
 * random order cost 17 against 7 µs a row, for each row then lands on a page of its own. And the
 * rowid order is the order of creation, so parents come before their children.
 */

/** `zlog` and `ztre`, in SQLite's application_id: what makes a file ours. */
export const logApplicationId = 0x7a6c6f67;
export const treeApplicationId = 0x7a747265;
/** Version 2 of the log has `committed`; version 3 has `before`, and a checksum of what `meta` says. */
export const logVersion = 3;
/** Version 2 of the table has checksums. */
export const treeVersion = 2;

/** One commit of one append rewrites about this much beside its bytes: the leaf and a page above it. */
export const pageBytes = 4096;

export const logSchema = `
pragma page_size = ${pageBytes};
pragma application_id = ${logApplicationId};
pragma user_version = ${logVersion};
-- One row a batch of txns. bytes: repeated i32 length, txn; crc: CRC-32 over all columns; before: the
-- crc of the row before it. Rows of older releases have no before, and a crc over the bytes alone.
-- total: txns ever appended, this batch included; time_ms: the leader's time in its first txn.
-- committed: the zxid that was known to be committed then.
create table batch (
  first integer primary key,
  last integer not null,
  txns integer not null,
  total integer not null,
  time_ms integer not null,
  crc integer not null,
  bytes blob not null,
  committed integer not null default 0,
  before integer
);
create table meta (name text primary key, value, crc integer) without rowid;
`;

/** From each older version of the log to the next. */
export const logUpgrades: Readonly<Record<number, string>> = {
  1: "alter table batch add column committed integer not null default 0",
  2: "alter table batch add column before integer; alter table meta add column crc integer",
};

/** The same for the table. Rows without a checksum get theirs when they are read next. */
export const treeUpgrades: Readonly<Record<number, string>> = {
  1: `alter table znode add column crc integer; alter table acl add column crc integer;
    alter table session add column crc integer; alter table meta add column crc integer`,
};

export const treeSchema = `
pragma page_size = ${pageBytes};
pragma application_id = ${treeApplicationId};
pragma user_version = ${treeVersion};
-- The znodes as of the zxid in meta. cversion counts creations only; acl 0 is world:anyone:cdrwa.
-- crc: over the whole row (checksums.ts). Null says: take the row as it is, and give it a checksum.
create table znode (
  id integer primary key,
  path text not null unique,
  data blob,
  czxid integer not null,
  mzxid integer not null,
  pzxid integer not null,
  ctime integer not null,
  mtime integer not null,
  version integer not null,
  cversion integer not null,
  aversion integer not null,
  owner integer not null,
  acl integer not null,
  crc integer
);
create index znode_owner on znode(owner) where owner <> 0;
create table acl (id integer primary key, acls blob not null unique, text text not null, crc integer);
create table session (id integer primary key, timeout_ms integer not null, crc integer);
create table meta (name text primary key, value, crc integer) without rowid;
create view ephemeral as
  select path, printf('0x%x', owner) as session from znode where owner > 0 or owner > -72057594037927936 and owner < 0;
`;

export const metaSql = {
  get: "select value from meta where name = ?",
  all: "select name, value, crc from meta",
  put: `insert into meta(name, value, crc) values(?, ?, ?)
    on conflict(name) do update set value = excluded.value, crc = excluded.crc`,
  drop: "delete from meta where name = ?",
} as const;

export const logSql = {
  insert:
    "insert into batch(first, last, txns, total, time_ms, crc, bytes, committed, before) values(?, ?, ?, ?, ?, ?, ?, ?, ?)",
  lastRow: "select first from batch order by first desc limit 1",
  /** first, txns, total. */
  firstRow: "select first, txns, total from batch order by first limit 1",
  /** The batch that may hold a zxid: first, last, total. */
  holding: "select first, last, total from batch where first <= ? order by first desc limit 1",
  /** first, length. */
  lengths: "select first, length(bytes) from batch where first >= ? order by first limit 128",
  /** first, last, txns, total, time_ms, committed, crc, before, bytes. */
  range: `select first, last, txns, total, time_ms, committed, crc, before, bytes from batch
    where first >= ? and first <= ? order by first`,
  /** first, last, total, time_ms, length. */
  oldest: "select first, last, total, time_ms, length(bytes) from batch order by first limit 64",
  purge: "delete from batch where first <= ?",
  deleteBehind: "delete from batch where first > ?",
  cut:
    "update batch set last = ?, txns = ?, total = ?, crc = ?, bytes = ?, committed = ?, before = ? where first = ?",
  bytesBehind: "select coalesce(sum(length(bytes)), 0) from batch where first > ?",
} as const;

const statColumns =
  "czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, owner >> 32, owner & 4294967295, acl, crc";

/** Data up to this is read with its row; longer data one by one, so that a page of rows stays small. */
export const dataInlineBytes = 4096;

export const treeSql = {
  /** id, then the columns of `statColumns`. */
  find: `select id, ${statColumns} from znode where path = ?`,
  /** id, path, data where it is short, its length or null, then `statColumns`. */
  scan:
    `select id, path, case when length(data) <= ${dataInlineBytes} then data end, length(data), ${statColumns}
    from znode where id > ? order by id limit 1000`,
  data: "select data from znode where id = ?",
  insert:
    `insert into znode(path, data, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, owner, acl, crc)
    values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  seal: "update znode set crc = ? where id = ?",
  update: `update znode set mzxid = ?, pzxid = ?, mtime = ?, version = ?, cversion = ?, aversion = ?, acl = ?,
    crc = ? where path = ?`,
  updateData:
    `update znode set data = ?, mzxid = ?, pzxid = ?, mtime = ?, version = ?, cversion = ?, aversion = ?,
    acl = ?, crc = ? where path = ?`,
  delete: "delete from znode where path = ?",
  below: "select path from znode where path > ? || '/' and path < ? || '0'",
  ownedBy: "select path from znode where owner = ? and owner <> 0",
  aclFind: "select id from acl where acls = ?",
  aclInsert: "insert into acl(acls, text) values(?, ?)",
  /** acls, crc. */
  aclRow: "select acls, crc from acl where id = ?",
  aclSeal: "update acl set crc = ? where id = ?",
  aclCount: "select count(*) from acl",
  aclPurge: "delete from acl where id not in (select acl from znode)",
  sessionNew: "insert into session(id, timeout_ms, crc) values(?, ?, ?) on conflict(id) do nothing",
  sessionPut: "update session set timeout_ms = ?, crc = ? where id = ?",
  sessionDelete: "delete from session where id = ?",
  /** The halves of id, timeout, crc. */
  sessions: "select id >> 32, id & 4294967295, timeout_ms, crc from session order by id",
} as const;
