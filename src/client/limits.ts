/**
 * Every limit of the client, with a name and a unit.
 */
import { assert } from "../core/base/assert.ts";

export const portDefault = 2181;
export const sessionTimeoutMsDefault = 30_000;

/** Requests that may wait for their reply or for a connection; one more is refused at once. */
export const requestsOutstandingMax = 200_000;
/**
 * Longest reply. Servers do not limit theirs (client-protocol 1.1) and a list of a million children
 * is about 20 MB, so this only keeps a stray length from filling the memory.
 */
export const replyBytesMax = 256 << 20;

/** Path text per setWatches frame, well under the smallest `jute.maxbuffer`. client-protocol 7.4. */
export const setWatchesBytesMax = 128 << 10;

/** How long `close` waits for the server's answer before it just leaves. */
export const closeMsMax = 3_000;
/** One attempt to reach one server, handshake included, whatever the session timeout. */
export const attemptMsMax = 10_000;
export const attemptMsMin = 250;

/** Delay before a round over all servers is begun again: grows from here … */
export const reconnectMsMin = 50;
/** … to here, each time with chance, so that a crowd of clients does not come back in step. */
export const reconnectMsMax = 1_000;

/** How often pings, silence and waiting requests are looked at; short sessions are looked at more often. */
export const tickMsMax = 500;
export const tickMsMin = 20;

/** A local credential list has no natural end. */
export const credentialsMax = 100;

assert(attemptMsMin < attemptMsMax, "an attempt has room");
assert(reconnectMsMin < reconnectMsMax, "the delay can grow");
assert(tickMsMin < tickMsMax, "the tick can shrink");
