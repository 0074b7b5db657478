/**
 * Counters: what a peer counts for `srvr`, `mntr` and the metrics. Adding to them is all that a
 * request pays for being seen.
 */
import { LatencyHistogram } from "../base/histogram.ts";

/** What is counted for `srvr` and the metrics. */
export class PeerCounters {
  packetsReceived = 0;
  packetsSent = 0;
  commits = 0;
  sessionsExpired = 0;
  authFailed = 0;
  /** Connections that were cut off because they did not read. */
  connectionsSlow = 0;
  /** Connections that were cut off because of their watches, and requests that were refused for theirs. */
  connectionsWatching = 0;
  watchesRefused = 0;
  responseBytesLast = -1;
  responseBytesMin = -1;
  responseBytesMax = -1;
  readonly latency = new LatencyHistogram();
  readonly read = new LatencyHistogram();
  readonly write = new LatencyHistogram();
  readonly append = new LatencyHistogram();
  /** Requests by op; see `opSlot`. */
  readonly requests = new Float64Array(128);

  countRequest(op: number): void {
    const slot = opSlot(op);
    this.requests[slot] = (this.requests[slot] as number) + 1;
  }

  countResponse(bytes: number): void {
    this.packetsSent++;
    this.responseBytesLast = bytes;
    if (bytes > this.responseBytesMax) this.responseBytesMax = bytes;
    if (bytes < this.responseBytesMin || this.responseBytesMin < 0) this.responseBytesMin = bytes;
  }

  reset(): void {
    this.packetsReceived = this.packetsSent = 0;
    this.latency.reset();
    this.read.reset();
    this.write.reset();
    this.append.reset();
    this.responseBytesLast = this.responseBytesMin = this.responseBytesMax = -1;
  }
}

/** Where an op is counted: ops are -11 … 107. */
export function opSlot(op: number): number {
  return (op + 16) & 127;
}
