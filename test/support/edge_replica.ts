/**
 * Edge replica: our observer that is told the voters' addresses and nothing else, and keeps nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ensemble, pickPort } from "./ensemble.ts";
import { Member } from "./member.ts";
import type { RuntimeName } from "./zoolet.ts";
import { zooletMake } from "./zoolet_member.ts";

export interface EdgeChoice {
  /** As the ensemble was made. */
  readonly ownAddresses?: boolean;
  /** Where followers serve observers. */
  readonly observerMasterPort?: number;
}

export class EdgeReplica extends Member {
  readonly #text: string;

  private constructor(
    ensemble: Ensemble,
    runtime: RuntimeName,
    client: number,
    place: string,
    { ownAddresses = false, observerMasterPort = 0 }: EdgeChoice,
  ) {
    super({
      sid: 0,
      isObserver: true,
      ports: { client, quorum: 0, election: 0 },
      directory: place,
      make: zooletMake(runtime),
      settings: {},
      options: { heapMb: 0, properties: {} },
    });
    const voters = ensemble.members.filter(({ isObserver }) => !isObserver).map(({ sid, ports }) =>
      `"${sid}=127.0.0.${ownAddresses ? sid : 1}:${ports.quorum}:${ports.election}"`
    );
    this.#text = `[client]\nport = ${client}\naddress = "127.0.0.1"\n[admin]\nenabled = false\n` +
      `[words]\nallow = ["*"]\n[ensemble]\nobserve = [${voters.join(", ")}]\n` +
      `observer_master_port = ${observerMasterPort}\n`;
  }

  /** Beside an ensemble of `withEnsemble`; the directory holds its configuration alone. */
  static async beside(
    ensemble: Ensemble,
    runtime: RuntimeName,
    place: string,
    choice: EdgeChoice = {},
  ): Promise<EdgeReplica> {
    return new EdgeReplica(ensemble, runtime, await pickPort(), place, choice);
  }

  override start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    const file = join(this.directory, `edge-${this.ports.client}.toml`);
    writeFileSync(file, this.#text);
    this.child = this.make.start(file, this.options);
    this.starts++;
  }
}
