/**
 * The front door: picks the runtime, reads the command line, joins the rooms.
 *
 * Each command is imported when it is asked for, so that a server starts without loading the shell.
 */
import { parseCommandLine } from "./cli/args.ts";
import { currentRuntime } from "./runtime/current.ts";

const runtime = await currentRuntime();
const { process } = runtime;
const command = await parseCommandLine(process.info.argv);

switch (command.kind) {
  case "help":
  case "version":
    process.stdout(command.text);
    break;
  case "error":
    process.stderr(command.message);
    process.exit(command.exitCode);
    break;
  case "server":
  case "dev": {
    if (command.kind === "dev" && command.peers > 1) {
      const { devEnsemble } = await import("./dev_ensemble.ts");
      await devEnsemble(runtime, command);
      break;
    }
    const { serve } = await import("./serve.ts");
    await serve(runtime, command);
    break;
  }
  case "cli": {
    const { runShell } = await import("./cli/shell.ts");
    process.exit(await runShell(runtime, command.options));
    break;
  }
}
