/**
 * Held requests: what learners' clients want while too much waits for our own disk.
 *
 * Only their REQUESTs wait. Acknowledgements, pings and the sessions that those renew come over the same
 * links, and a leader whose disk stalls needs them more than ever: the others can commit without it. So
 * the links are read on, and REQUESTs are kept here, in order, each learner's within a bound. A link is
 * paused at that bound alone, which no learner of ours reaches that has no more outstanding than
 * `globalOutstandingLimit` lets it, with requests of a usual size.
 */
import { requestsHeldBytesMax, strangersRequestsHeldBytesMax } from "../base/limits.ts";
import { Packet, PacketType } from "../wire/packets.ts";
import type { LearnerLink } from "../zab/learner_link.ts";

interface Held {
  readonly bytes: Uint8Array;
  readonly dataEnd: number;
}

interface Queue {
  readonly waiting: Held[];
  head: number;
  bytes: number;
}

export class HeldRequests {
  readonly #queues = new Map<LearnerLink, Queue>();
  readonly #packet = new Packet();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  has(learner: LearnerLink): boolean {
    return this.#queues.has(learner);
  }

  add(learner: LearnerLink, packet: Packet): void {
    let queue = this.#queues.get(learner);
    if (queue === undefined) this.#queues.set(learner, queue = { waiting: [], head: 0, bytes: 0 });
    const { dataStart, dataEnd, authEnd } = packet;
    queue.waiting.push({ bytes: packet.bytes.slice(dataStart, authEnd), dataEnd: dataEnd - dataStart });
    queue.bytes += authEnd - dataStart;
    if (queue.bytes > bytesMax(learner)) learner.link.paused = true;
  }

  /** Gives back what waited, one of each learner in turn, for as long as there is room. */
  release(isRoom: () => boolean, take: (learner: LearnerLink, packet: Packet) => void): void {
    while (this.#queues.size > 0) {
      for (const [learner, queue] of this.#queues) {
        if (!isRoom()) return;
        const { bytes, dataEnd } = queue.waiting[queue.head] as Held;
        queue.bytes -= bytes.length;
        if (queue.bytes < bytesMax(learner) / 2) learner.link.paused = false;
        if (++queue.head === queue.waiting.length) this.drop(learner);
        else if (queue.head >= 1024) {
          queue.waiting.splice(0, queue.head);
          queue.head = 0;
        }
        take(learner, this.#at(bytes, dataEnd));
      }
    }
  }

  #at(bytes: Uint8Array, dataEnd: number): Packet {
    const packet = this.#packet;
    packet.bytes = bytes;
    packet.type = PacketType.Request;
    packet.dataStart = 0;
    packet.dataEnd = packet.authStart = dataEnd;
    packet.authEnd = bytes.length;
    return packet;
  }

  /** Nothing of this learner waits any more. */
  drop(learner: LearnerLink): void {
    if (this.#queues.delete(learner)) learner.link.paused = false;
  }

  clear(): void {
    this.#queues.clear();
  }
}

function bytesMax({ voting }: LearnerLink): number {
  return voting ? requestsHeldBytesMax : strangersRequestsHeldBytesMax;
}
