/**
 * Zoolet member: our server as a member of an ensemble, on either runtime.
 */
import { join } from "node:path";
import { Child } from "./child.ts";
import type { Make } from "./member.ts";
import { projectDirectory, runtimeCommand, type RuntimeName, zooletMissing } from "./zoolet.ts";

export function zooletMake(runtime: RuntimeName): Make {
  return {
    name: `zoolet ${runtime}`,
    isJava: false,
    missing: zooletMissing(),
    start(file) {
      const { command, args } = runtimeCommand(runtime, join(projectDirectory, "src", "main.ts"));
      return new Child(command, [...args, "server", file], { cwd: projectDirectory });
    },
  };
}
