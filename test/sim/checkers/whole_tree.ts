/**
 * Whole tree: everything that a member knows as of a zxid, against what the committed txns make.
 *
 * The digest of a tree leaves ACLs and sessions out, and members may agree on what is wrong. So each
 * znode is compared with the model: data, every field of its Stat, its ACL, its owner; statistics of a
 * quota with a recount. /zookeeper/config is the member's own affair.
 */
import { I, type Tree } from "../../../src/core/tree/tree.ts";
import { statBlank } from "../../../src/core/tree/stat.ts";
import { sessionIdOf } from "../../../src/core/base/zxid.ts";
import { aclsText } from "../acls.ts";
import { hex, hold } from "../violation.ts";
import { aclsOwn, type Model } from "./model.ts";

const decoder = new TextDecoder();
const stat = statBlank();

export function checkWholeTree(who: string, tree: Tree, zxid: number, model: Model): void {
  let count = 0;
  for (const path of model.paths()) {
    const wanted = model.as(path, zxid);
    if (!wanted.exists) continue;
    count++;
    const row = path === "/" ? 1 : tree.findText(path);
    const found = row !== 0 && tree.isLive(row);
    hold(found, "whole trees", () => `${who} has no ${path} at ${hex(zxid)}`);
    if (path === "/zookeeper/config") continue;
    tree.readStat(row, stat);
    const { cversion, pzxid } = model.parentAs(path, zxid);
    const same = stat.czxid === wanted.czxid && stat.mzxid === wanted.mzxid && stat.ctime === wanted.ctime &&
      stat.mtime === wanted.mtime && stat.version === wanted.version && stat.aversion === wanted.aversion &&
      stat.cversion === cversion && stat.pzxid === pzxid;
    hold(
      same,
      "whole trees",
      () =>
        `${who} has ${path} at ${hex(zxid)} as ${JSON.stringify(stat)}, not ${
          JSON.stringify({ ...wanted, owner: "", ownerShown: "", acls: "", data: "", cversion, pzxid })
        }`,
    );
    const owner = BigInt.asIntN(64, sessionIdOf(stat.ownerHi, stat.ownerLo));
    hold(owner === wanted.owner, "whole trees", () => `${who} has ${path} of ${owner} at ${hex(zxid)}`);
    const acls = aclsText(tree.acls.bytes(tree.int(row, I.acl)));
    hold(
      wanted.acls === aclsOwn || acls === wanted.acls,
      "whole trees",
      () =>
        `${who} guards ${path} by ${JSON.stringify(acls)} at ${hex(zxid)}, not ${
          JSON.stringify(wanted.acls)
        }`,
    );
    const bytes = tree.dataOf(row);
    const data = bytes === null ? null : decoder.decode(bytes);
    hold(
      data === model.dataAs(path, zxid) || wanted.acls === aclsOwn,
      "whole trees",
      () => `${who} has ${path} as ${data} at ${hex(zxid)}, not ${model.dataAs(path, zxid)}`,
    );
  }
  hold(
    tree.liveCount === count,
    "whole trees",
    () => `${who} has ${tree.liveCount} znodes at ${hex(zxid)}, not ${count}`,
  );
}
