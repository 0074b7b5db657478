/**
 * Ensemble words: what the original's log tells of how a learner was brought level.
 */
import type { Member } from "./member.ts";

export type SyncWay = "diff" | "trunc" | "snap";

/**
 * How `learner` last got level with `leader`, as those of them told that are the original; null
 * when neither did. Throws when both did and do not agree.
 */
export function syncWay(leader: Member, learner: Member): SyncWay | null {
  const heard = learner.make.isJava ? heardBy(learner.output) : null;
  const sent = leader.make.isJava ? sentTo(learner.sid, leader.output) : null;
  if (heard !== null && sent !== null && heard !== sent) {
    throw new Error(`${leader.name} sent ${sent} and ${learner.name} got ${heard}`);
  }
  return heard ?? sent;
}

function heardBy(text: string): SyncWay | null {
  const last = [...text.matchAll(/Getting a (diff|snapshot) from (?:the )?leader|(Truncat)ing log/g)].at(-1);
  if (last === undefined) return null;
  return last[2] !== undefined ? "trunc" : last[1] === "diff" ? "diff" : "snap";
}

function sentTo(sid: number, text: string): SyncWay | null {
  const from = text.lastIndexOf(`Synchronizing with Learner sid: ${sid} `);
  const word = from < 0 ? null : text.slice(from).match(/Sending (DIFF|TRUNC|snapshot)/)?.[1] ?? null;
  return word === null ? null : word === "DIFF" ? "diff" : word === "TRUNC" ? "trunc" : "snap";
}
