/**
 * The quorum that a configuration describes, and the text by which members tell it to each other.
 *
 * Majority of the voters, or groups with weights (quorum-protocol 8.4). The text is Apache's, byte for
 * byte (7.1): it rides on every vote, and operators read it in `conf`.
 */
import { trimBlanks } from "../core/base/blanks.ts";
import { HierarchicalQuorum, MajorityQuorum, type Quorum } from "../core/base/quorum.ts";
import type { Members } from "./config_members.ts";
import { memberText } from "./config_membership.ts";
import { clip, type Report } from "./config_report.ts";
import { shown } from "./config_kinds.ts";
import type { Written } from "./config_source.ts";

export interface DescribedQuorum {
  readonly quorum: Quorum;
  /** The lines of groups and weights, empty for a majority. */
  readonly lines: readonly string[];
}

const weightMax = 0x7fff_ffff;

/** Null when a problem was told. There is a voter. */
export function quorumOf(gathered: Members, report: Report): DescribedQuorum | null {
  const { members, groups, weights } = gathered;
  const voters = members.filter(({ member }) => member.role === "participant").map(({ member }) => member.id);
  if (groups.length === 0) {
    for (const { name, ...place } of weights) {
      report.warn({ ...place }, `${clip(name)} does nothing without group.N lines`);
    }
    return { quorum: new MajorityQuorum(voters), lines: [] };
  }
  let fine = true;
  const refuse = (written: Written, found: string, allowed: string, sentence = ""): void => {
    fine = false;
    report.problem(written, written.name, found, allowed, sentence);
  };

  const weightOf = new Map<number, number>(voters.map((sid) => [sid, 1]));
  for (const written of weights) {
    const sid = wholeNumber(written.name.slice("weight.".length), Number.MAX_SAFE_INTEGER);
    const weight = wholeNumber(written.value, weightMax);
    if (sid === null || !weightOf.has(sid)) {
      refuse(written, written.name, "weight.N with the N of a server.N that is a participant");
    } else if (weight === null) refuse(written, shown(written.value), `a number from 0 to ${weightMax}`);
    else weightOf.set(sid, weight);
  }

  const groupOf = new Map<number, string>();
  const described: { id: string; sids: number[] }[] = [];
  for (const written of groups) {
    const id = written.name.slice("group.".length);
    if (!/^\d{1,15}$/.test(id)) {
      refuse(written, written.name, "group.N with a whole number");
      continue;
    }
    const sids: number[] = [];
    const parts = Array.isArray(written.value) ? written.value : String(written.value).split(":");
    for (const part of parts as readonly unknown[]) {
      const sid = wholeNumber(part, Number.MAX_SAFE_INTEGER);
      if (sid === null || !weightOf.has(sid)) {
        refuse(written, shown(part), "numbers of server.N lines that are participants, as in 1:2:3");
      } else if (groupOf.has(sid)) {
        const first = groupOf.get(sid);
        const sentence = `Server ${sid} is in multiple groups`;
        refuse(written, String(sid), `each server in one group; ${sid} is in group.${first}`, sentence);
      } else {
        groupOf.set(sid, id);
        sids.push(sid);
      }
    }
    described.push({ id, sids: sids.sort((a, b) => a - b) });
  }
  const first = groups[0];
  if (!fine || first === undefined) return null;
  const left = voters.find((sid) => !groupOf.has(sid));
  if (left !== undefined) {
    refuse(
      first,
      `no group.N with ${left}`,
      "each participant in one group",
      `Server ${left} is not in a group`,
    );
    return null;
  }
  if (voters.every((sid) => weightOf.get(sid) === 0)) {
    refuse(first, "weights of 0 alone", "a group with weight; else there is never a quorum");
    return null;
  }
  described.sort((a, b) => Number(a.id) - Number(b.id));
  return {
    quorum: new HierarchicalQuorum(
      described.map(({ sids }) => ({
        members: sids.map((sid) => ({ sid, weight: weightOf.get(sid) ?? 1 })),
      })),
    ),
    lines: [
      ...described.map(({ id, sids }) => `group.${id}=${sids.join(":")}`),
      ...voters.map((sid) => `weight.${sid}=${weightOf.get(sid) ?? 1}`),
    ],
  };
}

/** Without a newline at its end; `version` is the last line. */
export function configTextOf(gathered: Members, lines: readonly string[]): string {
  return [
    ...gathered.members.map(({ member }) => `server.${member.id}=${memberText(member)}`),
    ...lines,
    `version=${gathered.version.toString(16)}`,
  ].join("\n");
}

function wholeNumber(value: unknown, max: number): number | null {
  if (typeof value !== "number" && typeof value !== "string") return null;
  const text = trimBlanks(String(value));
  return /^\d{1,16}$/.test(text) && Number(text) <= max ? Number(text) : null;
}
