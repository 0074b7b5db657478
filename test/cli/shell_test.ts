/**
 * The shell against our server and the original one: what it prints, where, and how it ends.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { CliOptions } from "../../src/cli/args.ts";
import { runShell } from "../../src/cli/shell.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { everyServer } from "../client/every_server.ts";
import { makeTempDirectory } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";
import { type FakeProcess, fakeProcess, type Typed } from "./fake_process.ts";

const runtime = await currentRuntime();

function optionsOf(port: number, command: readonly string[], chroot = ""): CliOptions {
  return {
    servers: `127.0.0.1:${port}${chroot}`,
    timeoutMs: 10_000,
    readOnly: false,
    waitForConnection: false,
    clientConfiguration: null,
    command,
  };
}

for (const { name, missing, start } of everyServer) {
  describe(`the shell and ${name}`, { skip: missing ?? false }, () => {
    const place = makeTempDirectory("shell");
    let server: RunningServer;
    before(async () => {
      server = await start({ directory: place.path, settings: { extendedTypesEnabled: true } });
    });
    after(async () => {
      await server?.stop();
      place.remove();
    });

    /** One command as a script would call it. */
    async function one(...command: string[]): Promise<[out: string, err: string, code: number]> {
      const fake = fakeProcess(runtime);
      const code = await runShell(fake.runtime, optionsOf(server.port, command));
      return [fake.takeOut(), fake.takeErr(), code];
    }

    async function lines(typed: readonly Typed[], isTerminal = false): Promise<[FakeProcess, number]> {
      const fake = fakeProcess(runtime, typed, isTerminal);
      const code = await runShell(fake.runtime, optionsOf(server.port, []));
      return [fake, code];
    }

    it("one command prints its data alone and ends with its code", async () => {
      assert.deepEqual(await one("create", "/one", "d"), ["", "Created /one\n", 0]);
      assert.deepEqual(await one("create", "/one", "d"), ["", "Node already exists: /one\n", 1]);
      assert.deepEqual(await one("get", "/one"), ["d\n", "", 0]);
      assert.deepEqual(await one("get", "/nope"), ["", "Node does not exist: /nope\n", 1]);
      assert.deepEqual(await one("stat", "/nope"), ["", "Node does not exist: /nope\n", 1]);
      assert.deepEqual(await one("ls", "/"), ["[one, zookeeper]\n", "", 0]);
      assert.deepEqual(await one("ls"), ["", "ls [-s] [-w] [-R] path\n", 1]);
      assert.deepEqual(await one("ls", "bad"), ["", "Path must start with / character\n", 1]);
      assert.deepEqual(await one("ls", "-z", "/"), [
        "",
        "Unrecognized option: -z\nls [-s] [-w] [-R] path\n",
        1,
      ]);
      assert.deepEqual(await one("delete", "/"), ["", "Arguments are not valid : /\n", 1]);
      assert.deepEqual(await one("delete", "/one"), ["", "", 0]);
    });

    it("takes old and loose forms, with a warning", async () => {
      const more = (name: string, words: string): string =>
        `Left out, ${name} takes no more arguments: ${words}\n`;
      assert.deepEqual(await one("create", "/loose", "d", "world:anyone:cdrwa", "more", "words"), [
        "",
        `${more("create", "more words")}Created /loose\n`,
        0,
      ]);
      assert.deepEqual(await one("getAcl", "/loose", "x"), [
        "'world,'anyone\n: cdrwa\n",
        more("getAcl", "x"),
        0,
      ]);
      const old =
        "'set path data [version]' has been deprecated. Please use 'set [-v version] path data' instead.\n";
      assert.deepEqual(await one("set", "/loose", "e", "0"), ["", old, 0]);
      assert.deepEqual(await one("set", "/loose", "f", "0"), [
        "",
        `${old}version No is not valid : /loose\n`,
        1,
      ]);
      assert.deepEqual(await one("set", "/loose", "g", "1", "x"), ["", `${more("set", "x")}${old}`, 0]);
      assert.deepEqual(await one("set", "/loose", "two", "words"), [
        "",
        `${old}The version must be a whole number, found: words\n`,
        1,
      ]);
      assert.deepEqual(await one("get", "/loose"), ["g\n", "", 0]);
      const gone =
        "'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.\n";
      assert.deepEqual(await one("delete", "/loose", "7"), [
        "",
        `${gone}version No is not valid : /loose\n`,
        1,
      ]);
      const [fake, code] = await lines(['create /open "first', "get /open", "delete /open 0"]);
      assert.deepEqual([fake.takeOut(), code], ["first\n", 0]);
      assert.equal(
        fake.takeErr(),
        `A quote is opened and not closed: it is left out, and what follows it are words\nCreated /open\n${gone}`,
      );
      assert.deepEqual(await one("delete", "/loose", "2"), ["", gone, 0]);
    });

    it("a command that there is not ends with 127, after the usage", async () => {
      const [out, err, code] = await one("frob");
      assert.deepEqual([out, code], ["", 127]);
      assert.match(
        err,
        /^zoolet cli -server [^]*\n\tls \[-s\] \[-w\] \[-R\] path\n[^]*Command not found: Command not found frob\n$/,
      );
    });

    it("help, version and usage need no server", async () => {
      const fake = fakeProcess(runtime);
      assert.equal(await runShell(fake.runtime, optionsOf(1, ["help"])), 0);
      assert.match(fake.takeOut(), /\twhoami /);
      assert.equal(await runShell(fake.runtime, optionsOf(1, ["help", "ls"])), 0);
      assert.match(fake.takeOut(), /^ls \[-s\] \[-w\] \[-R\] path\n\tlist children/);
      assert.equal(await runShell(fake.runtime, optionsOf(1, ["ls", "-?"])), 0);
      assert.equal(await runShell(fake.runtime, optionsOf(1, ["version"])), 0);
      assert.match(fake.takeOut(), /ZooKeeper CLI version: \d+\.\d+\.\d+/);
      assert.equal(await runShell(fake.runtime, optionsOf(1, ["help", "frob"])), 1);
      assert.equal(fake.takeErr(), "Command not found: frob\nhelp lists all commands\n");
    });

    it("a script runs every line and ends with the code of the last", async () => {
      const [fake, code] = await lines([
        "create /s x",
        "",
        "get /nope",
        "get -s /s",
        "deleteall /s",
        "quit",
        "ls /",
      ]);
      assert.equal(code, 0);
      assert.equal(fake.takeErr(), "Created /s\nNode does not exist: /nope\n");
      const out = fake.takeOut().split("\n");
      assert.equal(out[0], "x");
      assert.equal(out.length, 13);
      assert.match(out[1] ?? "", /^cZxid = 0x[0-9a-f]+$/);
      assert.match(out[2] ?? "", /^ctime = \w{3} \w{3} \d\d \d\d:\d\d:\d\d \S+ \d{4}$/);
      assert.equal(out[11], "numChildren = 0");
      const [failing, failed] = await lines(["get /nope", "quit"]);
      assert.deepEqual([failed, failing.takeErr()], [1, "Node does not exist: /nope\n"]);
      assert.equal((await lines(["frob"]))[1], 127);
      assert.equal((await lines([]))[1], 0);
    });

    it("creates in every mode and refuses what does not go together", async () => {
      const [fake, code] = await lines([
        "create /modes",
        "create -s /modes/s- a",
        "create -e /modes/e a",
        "create -s -e /modes/se-",
        "create -c /modes/c",
        "create -t 60000 /modes/t x",
        "getEphemerals /modes",
        "getAllChildrenNumber /modes",
        "get /modes",
        "create -c -e /modes/x",
        "create -e -t 5 /modes/x",
        "create -c -t 5 /modes/x",
        "create -t 0 /modes/x",
        "create -t abc /modes/x",
        "create /modes/x d world:anyone",
        "create /modes/x d world:anyone:rz",
        "create /modes/e/x",
        "deleteall /modes",
      ]);
      assert.equal(code, 0);
      assert.equal(fake.takeOut(), "[/modes/e, /modes/se-0000000002]\n5\nnull\n");
      assert.deepEqual(fake.takeErr().trim().split("\n"), [
        "Created /modes",
        "Created /modes/s-0000000000",
        "Created /modes/e",
        "Created /modes/se-0000000002",
        "Created /modes/c",
        "Created /modes/t",
        "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        "TTLs cannot be used with Ephemeral znodes",
        "TTLs cannot be used with Container znodes",
        "ttl must be positive and cannot be larger than: 1099511627775",
        "-t argument must be a long value",
        "world:anyone does not have the form scheme:id:perm",
        "Acl is not valid : null",
        "Unknown perm type: z",
        "Acl is not valid : null",
        "Ephemerals cannot have children: /modes/e/x",
      ]);
    });

    it("lists, reads and deletes trees", async () => {
      const [fake, code] = await lines([
        "create /t",
        "create /t/b",
        "create /t/a",
        "create /t/a/x hello",
        "ls -R /t",
        "ls /t",
        "ls2 /t",
        "get -b /t/a/x",
        "get -x /t/a/x",
        "set -b /t/a/x aGk=",
        "get /t/a/x watch",
        "delete /t",
        "delete -v 7 /t/b",
        "deleteall /t -b 1",
        "ls /t",
        "rmr /t",
      ]);
      assert.equal(code, 1);
      const out = fake.takeOut();
      assert.ok(out.startsWith("/t\n/t/a\n/t/a/x\n/t/b\n[a, b]\n[a, b]\ncZxid = "), out);
      assert.match(out, /\naGVsbG8=\n00000000 {2}68 65 6c 6c 6f +\|hello\|\nhi\n/);
      assert.deepEqual(fake.takeErr().trim().split("\n").slice(4), [
        "'ls2' has been deprecated. Please use 'ls [-s] path' instead.",
        "'get path [watch]' has been deprecated. Please use 'get [-s] [-w] path' instead.",
        "Node not empty: /t",
        "version No is not valid : /t/b",
        "Node does not exist: /t",
        "The command 'rmr' has been deprecated. Please use 'deleteall' instead.",
        "Node does not exist: /t",
      ]);
    });

    it("says who may do what", async () => {
      const [fake, code] = await lines([
        "whoami",
        "addauth digest bob:secret",
        "create /acl x auth::cdrwa",
        "getAcl /acl",
        "setAcl -s /acl world:anyone:r",
        "getAcl /acl",
        "set /acl y",
        "delete /acl",
        "addauth nonsense x",
        "ls /",
      ]);
      assert.equal(code, 1);
      const out = fake.takeOut();
      assert.match(out, /^Auth scheme: User\nip: 127\.0\.0\.1\n'digest,'bob:fyVm[^\n]*\n: cdrwa\ncZxid/);
      assert.match(out, /aclVersion = 1\n[^]*'world,'anyone\n: r\n/);
      assert.deepEqual(fake.takeErr().split("\n"), [
        "Created /acl",
        "Insufficient permission : /acl",
        "KeeperErrorCode = AuthFailed",
        "KeeperErrorCode = AuthFailed",
        "",
      ]);
      await one("delete", "/acl");
    });

    it("keeps quotas as the original does", async () => {
      const [fake] = await lines([
        "create /q hello",
        "create /q/k x",
        "listquota /q",
        "delquota /q",
        "setquota -n 1 /q",
        "setquota -n 10 /q",
        "setquota -N 20 /q",
        "setquota -b 3 /q",
        "listquota /q",
        "setquota -n 0 /q",
        "setquota -b -1 /q",
        "setquota -n x /q",
        "setquota /q",
        "setquota -n 5 /q/k",
        "setquota -n 5 /zookeeper/quota/q",
        "setquota -n 5 /nope",
        "delquota -n /q",
        "get /zookeeper/quota/q/zookeeper_limits",
        "delquota /q",
        "ls -R /zookeeper",
        "deleteall /q",
      ]);
      assert.equal(
        fake.takeOut(),
        [
          "Quota does not exist for /q",
          "[Warning]: the count quota you create is less than the existing count:2",
          "[Warning]: the bytes quota you create is less than the existing bytes:6",
          "Output quota for /q count=10,bytes=3=;byteHardLimit=-1;countHardLimit=20",
          "Output stat for /q count=2,bytes=6",
          "count=-1,bytes=3=;byteHardLimit=-1;countHardLimit=20",
          "/zookeeper",
          "/zookeeper/config",
          "/zookeeper/quota",
          "",
        ].join("\n"),
      );
      assert.deepEqual(fake.takeErr().trim().split("\n").slice(2), [
        "absolute path is /zookeeper/quota/q/zookeeper_limits",
        "quota for /q does not exist.",
        "absolute path is /zookeeper/quota/q/zookeeper_limits",
        "the num quota must be greater than zero",
        "the bytes quota must be greater than or equal to zero",
        "NumberFormatException happens when parsing the option value",
        "Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]",
        "setquota -n|-b|-N|-B val path",
        "/q/k has a parent /q which has a quota",
        "cannot set a quota under the path: /zookeeper/quota",
        "/nope does not exist.",
      ]);
    });

    it("prints watch events of a script, and none when told so", async () => {
      const [fake] = await lines([
        "create /w",
        "get -w /w",
        "set /w a",
        "addWatch /w",
        "set /w b",
        "removewatches /w",
        "removewatches /w",
        "printwatches",
        "printwatches off",
        "addWatch -m PERSISTENT /w",
        "set /w c",
        "addWatch -m SOMETIMES /w",
        "delete /w",
      ]);
      const block = (type: string): string =>
        `\nWATCHER::\n\nWatchedEvent state:SyncConnected type:${type} path:/w\n`;
      assert.equal(
        fake.takeOut(),
        `null\n${block("NodeDataChanged")}${block("NodeDataChanged")}${block("PersistentWatchRemoved")}` +
          "printwatches is on\n",
      );
      const err = fake.takeErr().split("\n");
      assert.deepEqual(err.slice(0, 2), ["Created /w", "KeeperErrorCode = No such watcher for /w"]);
      assert.match(err[2] ?? "", /^addWatch \[-m mode\] path # optional mode is one of/);
    });

    it("config, sync and reconfig answer as on a server that stands alone", async () => {
      assert.deepEqual(await one("config"), ["\n", "", 0]);
      assert.deepEqual(await one("config", "-c"), [" \n", "", 0]);
      assert.deepEqual(await one("sync", "/nope"), ["Sync is OK\n", "", 0]);
      const [, err, code] = await one("reconfig", "-add", "server.5=a");
      assert.match(err, /^KeeperErrorCode = (Reconfig is disabled|Unimplemented)\n$/);
      assert.equal(code, 1);
    });

    it("greets a person, counts the lines, redoes them and completes words and paths", async () => {
      const completions: [string[], string][] = [];
      const completed = (line: string, then: string) => async (): Promise<string> => {
        completions.push(await (fake.completer?.(line) ?? Promise.resolve<[string[], string]>([[], ""])));
        return then;
      };
      const fake = fakeProcess(runtime, [
        "create /p hi",
        completed("getA", "get /p"),
        completed("get /", "redo 1"),
        completed("get /p", "redo 2"),
        "redo 99",
        "history",
        "close",
        "ls /",
        "connect",
        "delete /p",
        "frob",
      ], true);
      const code = await runShell(fake.runtime, optionsOf(server.port, []));
      assert.equal(code, 127);
      const where = `127.0.0.1:${server.port}`;
      assert.equal(fake.prompts[0], `[zk: ${where}(CONNECTED) 0] `);
      assert.equal(fake.prompts[7], `[zk: ${where}(CLOSED) 7] `);
      assert.deepEqual(completions, [
        [["getAcl", "getAllChildrenNumber"], "getA"],
        [["/p", "/zookeeper"], "/"],
        [["/p"], "/p"],
      ]);
      // deno-lint-ignore no-control-regex
      const plain = (text: string): string => text.replace(/\x1b\[\d+m/g, "");
      const out = plain(fake.takeOut());
      assert.ok(out.startsWith(`Connecting to ${where}\nWelcome to ZooKeeper!\n`), out);
      assert.match(out, /WATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\n/);
      assert.match(
        out,
        /\nhi\nhi\nhi\n0 - create \/p hi\n1 - get \/p\n2 - get \/p\n3 - get \/p\n4 - redo 99\n5 - history\n/,
      );
      assert.match(out, /state:Closed type:None path:null\n/);
      assert.deepEqual(plain(fake.takeErr()).split("\n").slice(0, 4), [
        "Created /p",
        "Command index out of range",
        "Not connected",
        "Command not found: Command not found frob",
      ]);
    });

    it("works below a chroot", async () => {
      await one("create", "/jail");
      const fake = fakeProcess(runtime, ["create /x", "ls /", "listquota /x", "delete /x"]);
      assert.equal(await runShell(fake.runtime, optionsOf(server.port, [], "/jail")), 0);
      assert.equal(fake.takeOut(), "[x]\n");
      assert.match(fake.takeErr(), /^Created \/x\nQuotas cannot be reached through a chroot/);
      await one("delete", "/jail");
    });
  });
}

describe("the shell without a server", () => {
  it("says within seconds what it tried and what to do", async () => {
    const fake = fakeProcess(runtime);
    const startedMs = performance.now();
    assert.equal(await runShell(fake.runtime, optionsOf(1, ["ls", "/"])), 1);
    assert.ok(performance.now() - startedMs < 4000);
    assert.match(
      fake.takeErr(),
      /^KeeperErrorCode = ConnectionLoss: cannot connect to 127\.0\.0\.1:1 within 2\.\d s\n {2}127\.0\.0\.1:1: connection refused[^\n]*\nStart a server/,
    );
    assert.equal(fake.takeOut(), "");
  });

  it("waits the whole timeout when told to", async () => {
    const fake = fakeProcess(runtime);
    const startedMs = performance.now();
    const options = { ...optionsOf(1, ["ls", "/"]), timeoutMs: 2600, waitForConnection: true };
    assert.equal(await runShell(fake.runtime, options), 1);
    assert.ok(performance.now() - startedMs >= 2500);
  });

  it("refuses a server that it cannot read, at once", async () => {
    const fake = fakeProcess(runtime);
    assert.equal(await runShell(fake.runtime, { ...optionsOf(1, ["ls", "/"]), servers: "a:b" }), 1);
    assert.match(fake.takeErr(), /^Cannot use server "a:b": expected host:port/);
  });
});
