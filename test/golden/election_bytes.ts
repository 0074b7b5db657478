/**
 * What members said on the election port, as it travelled, in hex.
 *
 * Captured among four Apache ZooKeeper 3.8.0: voters 1 to 3 and observer 4 on 127.0.0.1, quorum ports
 * 2330N, election ports 2331N, client ports 2334N. Notifications are without their length. Bars and
 * blanks only separate fields.
 */
const hexOfText = (text: string): string =>
  [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const member = (sid: number, role: string): string =>
  `server.${sid}=127.0.0.1:2330${sid}:2331${sid}:${role};127.0.0.1:2334${sid}\n`;
const members = member(1, "participant") + member(2, "participant") + member(3, "participant") +
  member(4, "observer");

/** The configuration before the first leader activated it, 242 bytes, and after, 250. */
export const configText = `${members}version=0`;
export const configTextActive = `${members}version=100000000`;

/** Voter 1 knocks at 2. */
export const initialMessage =
  "ffffffffffff0000 | 0000000000000001 | 0000000f | 3132372e302e302e313a3233333131";

export const notifications = {
  /** Voter 2, first boot, votes for itself. */
  looking: "00000000 | 0000000000000002 | 0000000000000000 | 0000000000000001 | 0000000000000000 | " +
    `00000002 | 000000f2 ${hexOfText(configText)}`,
  /** A follower of 3 answers; its epoch is the one that began after the election. */
  following: "00000001 | 0000000000000003 | 0000000000000000 | 0000000000000001 | 0000000000000001 | " +
    `00000002 | 000000fa ${hexOfText(configTextActive)}`,
  /** The observer asks. */
  observer: "00000000 | 8000000000000000 | 8000000000000000 | 0000000000000001 | 8000000000000000 | " +
    `00000002 | 000000f2 ${hexOfText(configText)}`,
};
