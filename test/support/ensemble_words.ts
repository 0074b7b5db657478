/**
 * Ensemble words: what the members' logs tell of how a learner was brought level.
 */
import type { Member } from "./member.ts";

export type SyncWay = "diff" | "trunc" | "snap";

/**
 * How `learner` last got level with `leader`, as one of them told; null when neither did. Throws when
 * both did and do not agree.
 */
export function syncWay(leader: Member, learner: Member): SyncWay | null {
  const heard = learner.make.isJava ? heardByJava(learner.output) : heardByUs(learner.output);
  const sent = leader.make.isJava
    ? sentByJava(learner.sid, leader.output)
    : sentByUs(learner.sid, leader.output);
  if (heard !== null && sent !== null && heard !== sent) {
    throw new Error(`${leader.name} sent ${sent} and ${learner.name} got ${heard}`);
  }
  return heard ?? sent;
}

function heardByJava(text: string): SyncWay | null {
  const last = [...text.matchAll(/Getting a (diff|snapshot) from (?:the )?leader|(Truncat)ing log/g)].at(-1);
  if (last === undefined) return null;
  return last[2] !== undefined ? "trunc" : last[1] === "diff" ? "diff" : "snap";
}

/** Its TRUNC is told at a level that nobody turns on. */
function sentByJava(sid: number, text: string): SyncWay | null {
  const from = text.lastIndexOf(`Synchronizing with Learner sid: ${sid} `);
  if (from < 0) return null;
  const next = text.indexOf("Synchronizing with Learner sid: ", from + 1);
  const word = text.slice(from, next < 0 ? text.length : next).match(/Sending (DIFF|snapshot)/)?.[1];
  return word === undefined ? null : word === "DIFF" ? "diff" : "snap";
}

function heardByUs(text: string): SyncWay | null {
  return /event=log_truncated/.test(text.slice(text.lastIndexOf("event=elected"))) ? "trunc" : null;
}

function sentByUs(sid: number, text: string): SyncWay | null {
  const all = [...text.matchAll(/event=learner_synced sid=(\d+) kind=(diff|trunc|snap)/g)];
  const last = all.filter((match) => Number(match[1]) === sid).at(-1)?.[2];
  return last === "diff" || last === "trunc" || last === "snap" ? last : null;
}
