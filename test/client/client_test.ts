/**
 * The client against our server, and against the original where that is installed.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, connect, createOp, multiErrorAt } from "../../src/client/client.ts";
import type { WatchEvent } from "../../src/client/types.ts";
import { ZkError } from "../../src/client/zk_error.ts";
import { bytesOf, textOf } from "../../src/core/base/bytes.ts";
import { ErrorCode } from "../../src/core/wire/errors.ts";
import {
  AddWatchMode,
  CreateMode,
  EventType,
  OpCode,
  Perm,
  WatcherType,
} from "../../src/core/wire/opcodes.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { everyServer } from "./every_server.ts";
import { makeTempDirectory, sleep, within } from "../support/places.ts";
import type { RunningServer } from "../support/servers.ts";

const runtime = await currentRuntime();

function refusal(code: number): (error: unknown) => boolean {
  return (error) => error instanceof ZkError && error.code === code;
}

async function eventually(what: string, happened: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (happened()) return;
    await sleep(20);
  }
  assert.fail(`never happened: ${what}`);
}

for (const { name, missing, start } of everyServer) {
  describe(`the client and ${name}`, { skip: missing ?? false }, () => {
    const place = makeTempDirectory("client");
    let server: RunningServer;
    let client: Client;
    const events: WatchEvent[] = [];

    function open(options: Partial<Parameters<typeof connect>[1]> = {}): Client {
      return connect(runtime, { servers: `127.0.0.1:${server.port}`, timeoutMs: 10_000, ...options });
    }

    before(async () => {
      server = await start({
        directory: place.path,
        settings: { extendedTypesEnabled: true, minSessionTimeout: 1000, tickTime: 500 },
      });
      client = open({
        onEvent: (event) => events.push(event),
      });
      await client.ready();
    });

    after(async () => {
      await client?.close();
      await server?.stop();
      place.remove();
    });

    it("creates in all seven modes and tells path and stat", async () => {
      const data = bytesOf("hello");
      const made = async (path: string, mode: number, ttlMs?: number): Promise<string> => {
        const { path: name, stat } = await client.create(path, data, {
          mode,
          ...(ttlMs === undefined ? {} : { ttlMs }),
        });
        assert.equal(stat.dataLength, 5);
        const isEphemeral = mode === CreateMode.Ephemeral || mode === CreateMode.EphemeralSequential;
        assert.equal(stat.ephemeralOwner, isEphemeral ? client.sessionId : 0n);
        return name;
      };
      assert.equal(await made("/modes", CreateMode.Persistent), "/modes");
      assert.equal(await made("/modes/e", CreateMode.Ephemeral), "/modes/e");
      assert.equal(await made("/modes/s-", CreateMode.PersistentSequential), "/modes/s-0000000001");
      assert.equal(await made("/modes/", CreateMode.EphemeralSequential), "/modes/0000000002");
      assert.equal(await made("/modes/c", CreateMode.Container), "/modes/c");
      assert.equal(await made("/modes/t", CreateMode.PersistentTtl, 60_000), "/modes/t");
      assert.equal(
        await made("/modes/ts-", CreateMode.PersistentSequentialTtl, 60_000),
        "/modes/ts-0000000005",
      );
      assert.equal(await client.createPath("/modes/plain", null), "/modes/plain");
      const { children, stat } = await client.getChildren("/modes");
      assert.equal(children.length, 7);
      assert.equal(stat.numChildren, 7);
      assert.deepEqual((await client.getChildNames("/modes")).sort(), children.sort());
      assert.equal(await client.getAllChildrenNumber("/modes"), 7);
      assert.deepEqual((await client.getEphemerals("/modes")).sort(), ["/modes/0000000002", "/modes/e"]);
    });

    it("reads and writes data, with versions, and keeps null apart from empty", async () => {
      await client.create("/data", null);
      assert.equal((await client.getData("/data")).data, null);
      const stat = await client.setData("/data", bytesOf("one"), 0);
      assert.equal(stat.version, 1);
      assert.equal(textOf((await client.getData("/data")).data ?? new Uint8Array()), "one");
      await client.setData("/data", new Uint8Array(0), 1);
      assert.equal((await client.getData("/data")).data?.length, 0);
      await assert.rejects(client.setData("/data", null, 7), refusal(ErrorCode.BadVersion));
      await assert.rejects(client.delete("/data", 7), refusal(ErrorCode.BadVersion));
      await client.delete("/data", 2);
      assert.equal(await client.exists("/data"), null);
      await assert.rejects(client.getData("/data"), (error: unknown) => {
        assert.ok(error instanceof ZkError);
        assert.equal(error.codeName, "NoNode");
        assert.equal(error.message, "NoNode for /data");
        return true;
      });
    });

    it("refuses a bad path before it is sent, and says where it is bad", async () => {
      await assert.rejects(client.getData("nope"), /Path must start with \/ character/);
      await assert.rejects(client.getData("/a//b"), /caused by empty node name specified @3/);
      await assert.rejects(client.multi([createOp("/a/../b")]), /relative paths not allowed @4/);
    });

    it("gives and takes permissions", async () => {
      const other = open();
      await other.addAuth("digest", bytesOf("bob:secret"));
      assert.deepEqual(
        (await other.whoAmI()).map(({ scheme, user }) => `${scheme}:${user}`).sort(),
        ["digest:bob", "ip:127.0.0.1"],
      );
      await other.create("/mine", bytesOf("x"), {
        acls: [{ perms: Perm.All, id: { scheme: "auth", id: "" } }],
      });
      await assert.rejects(client.getData("/mine"), refusal(ErrorCode.NoAuth));
      const { acls } = await other.getAcl("/mine");
      assert.deepEqual(acls, [{
        perms: 31,
        id: { scheme: "digest", id: "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=" },
      }]);
      const world = [{ perms: Perm.Read, id: { scheme: "world", id: "anyone" } }];
      assert.equal((await other.setAcl("/mine", world, 0)).aversion, 1);
      assert.equal(textOf((await client.getData("/mine")).data ?? new Uint8Array()), "x");
      // The credential belongs to the connection: after a reconnect it must have been sent again.
      other.cutConnection();
      assert.equal((await other.whoAmI()).length, 2);
      await other.close();
    });

    it("ends for good when a credential is refused", async () => {
      const other = open();
      await assert.rejects(other.addAuth("nonsense", bytesOf("x")), refusal(ErrorCode.AuthFailed));
      assert.equal(other.state, "auth-failed");
      await assert.rejects(other.exists("/"), refusal(ErrorCode.AuthFailed));
    });

    it("does a multi whole or not at all", async () => {
      const done = await client.multi([
        createOp("/m1", null, { mode: CreateMode.Persistent }),
        { kind: "setData", path: "/m1", data: bytesOf("x"), version: 0 },
        { kind: "check", path: "/m1", version: 1 },
      ]);
      assert.deepEqual(done.map(({ kind }) => kind), ["created", "dataSet", "checked"]);
      assert.equal(multiErrorAt(done), null);
      const failed = await client.multi([
        createOp("/m2"),
        { kind: "check", path: "/m1", version: 77 },
        { kind: "delete", path: "/m1", version: -1 },
      ]);
      assert.deepEqual(failed, [
        { kind: "error", code: 0 },
        { kind: "error", code: ErrorCode.BadVersion },
        { kind: "error", code: ErrorCode.RuntimeInconsistency },
      ]);
      assert.deepEqual(multiErrorAt(failed), { index: 1, code: ErrorCode.BadVersion });
      assert.equal(await client.exists("/m2"), null);
      const read = await client.multiRead([
        { kind: "getChildren", path: "/m1" },
        { kind: "getData", path: "/m1" },
        { kind: "getData", path: "/nope" },
      ]);
      assert.deepEqual(read.map(({ kind }) => kind), ["children", "data", "error"]);
    });

    it("hears one-shot, persistent and recursive watches, each as often as it should", async () => {
      const heard: string[] = [];
      const hear = (name: string) => (event: WatchEvent): void =>
        void heard.push(`${name} ${event.type} ${event.path}`);
      assert.equal(await client.exists("/w", { watch: hear("exists") }), null);
      await client.addWatch("/w", AddWatchMode.PersistentRecursive, hear("recursive"));
      await client.create("/w");
      await client.getChildren("/w", { watch: hear("children") });
      await client.create("/w/a");
      await client.create("/w/b");
      await client.sync("/w");
      assert.deepEqual(heard, [
        "exists 1 /w",
        "recursive 1 /w",
        "recursive 1 /w/a",
        "children 4 /w",
        "recursive 1 /w/b",
      ]);
      heard.length = 0;
      await client.checkWatches("/w", WatcherType.Any);
      await client.removeWatches("/w", WatcherType.Any);
      await sleep(0);
      assert.deepEqual(heard, ["recursive 7 /w"]);
      await assert.rejects(client.removeWatches("/w"), refusal(ErrorCode.NoWatcher));
      assert.ok(events.some((event) => event.type === EventType.NodeCreated && event.path === "/w/a"));
    });

    it("keeps its session and its watches over a cut connection, and hears what it missed", async () => {
      await client.create("/re");
      const heard: string[] = [];
      const states: string[] = [];
      const other = open({ onState: (state) => states.push(state) });
      await other.getData("/re", { watch: (event) => void heard.push(`data ${event.type}`) });
      await other.getChildren("/re", { watch: (event) => void heard.push(`children ${event.type}`) });
      await other.exists("/re/x", { watch: (event) => void heard.push(`exists ${event.type}`) });
      await other.addWatch(
        "/re",
        AddWatchMode.Persistent,
        (event) => void heard.push(`persistent ${event.type}`),
      );
      await other.create("/re/e", null, { mode: CreateMode.Ephemeral });
      await sleep(0);
      heard.length = 0;
      await other.getChildren("/re", { watch: (event) => void heard.push(`children ${event.type}`) });
      const id = other.sessionId;
      other.cutConnection();
      assert.equal(other.state, "connecting");
      await client.setData("/re", bytesOf("new"));
      await client.create("/re/x");
      await other.ready();
      await eventually("three events", () => heard.length >= 3);
      assert.equal(other.sessionId, id);
      assert.equal(other.connections, 2);
      assert.deepEqual(states, ["connected", "connecting", "connected"]);
      assert.ok(await other.exists("/re/e"), "the ephemeral lived on");
      for (const event of ["data 3", "children 4", "exists 1"]) {
        assert.ok(heard.includes(event), `${event} in ${heard}`);
      }
      await client.setData("/re", bytesOf("newer"));
      await eventually("the persistent watch", () => heard.includes("persistent 3"));
      await other.close();
      assert.equal(await client.exists("/re/e"), null, "close took the ephemeral along");
    });

    it("fails what was in flight when the connection went, and nothing that still waited", async () => {
      const other = open();
      await other.ready();
      const inFlight = other.create("/flight");
      await Promise.resolve();
      other.cutConnection();
      const waiting = other.exists("/");
      await assert.rejects(inFlight, refusal(ErrorCode.ConnectionLoss));
      assert.ok(await waiting);
      await other.close();
    });

    it("puts a chroot in front of what leaves and takes it off what returns", async () => {
      await client.create("/jail");
      const inside = open({ servers: `127.0.0.1:${server.port}/jail` });
      const heard: string[] = [];
      await inside.getChildren("/", { watch: (event) => void heard.push(event.path) });
      assert.equal(
        (await inside.create("/a-", null, { mode: CreateMode.PersistentSequential })).path,
        "/a-0000000000",
      );
      assert.deepEqual(await client.getChildNames("/jail"), ["a-0000000000"]);
      await eventually("an event", () => heard.length > 0);
      assert.deepEqual(heard, ["/"]);
      assert.equal(await inside.sync("/x"), "/x");
      const [made] = await inside.multi([createOp("/m")]);
      assert.ok(made?.kind === "created" && made.path === "/m");
      await inside.close();
    });

    it("pipelines without waiting and keeps the order", async () => {
      await client.create("/pipe");
      const order: number[] = [];
      const all = Array.from(
        { length: 2000 },
        (_, i) =>
          client.setData("/pipe", bytesOf(String(i))).then((stat) => {
            order.push(i);
            assert.equal(stat.version, i + 1);
          }),
      );
      await Promise.all(all);
      assert.deepEqual(order, order.slice().sort((a, b) => a - b));
    });

    it("stays alive over silence by its pings", async () => {
      const other = open({ timeoutMs: 1000 });
      await other.create("/pinged", null, { mode: CreateMode.Ephemeral });
      await sleep(2500);
      assert.equal(other.connections, 1);
      assert.ok(await client.exists("/pinged"));
      await other.close();
    });

    it("is told that its session expired when it comes back too late", async () => {
      const first = open({ timeoutMs: 1000 });
      await first.create("/late", null, { mode: CreateMode.Ephemeral });
      const session = first.credentials;
      first.abandon();
      for (let i = 0; i < 100 && (await client.exists("/late")) !== null; i++) await sleep(50);
      const second = open({ session });
      await assert.rejects(second.ready(), refusal(ErrorCode.SessionExpired));
      assert.equal(second.state, "expired");
      await assert.rejects(second.exists("/"), refusal(ErrorCode.SessionExpired));
    });

    it("can take a session over from another client", async () => {
      const first = open();
      await first.create("/taken", null, { mode: CreateMode.Ephemeral });
      const second = open({ session: first.credentials });
      await second.ready();
      assert.equal(second.sessionId, first.sessionId);
      first.abandon();
      await second.close();
      assert.equal(await client.exists("/taken"), null);
    });

    it("goes on to the next server where one does not answer", async () => {
      const other = open({ servers: `127.0.0.1:1,127.0.0.1:${server.port}` });
      await other.ready(5000);
      assert.ok(await other.exists("/"));
      await other.close();
    });

    it("hands out a raw reply, error codes and all", async () => {
      const { err, body, zxid } = await client.raw(OpCode.GetData, (writer) => {
        writer.string("/nope");
        writer.bool(false);
      });
      assert.deepEqual([err, body.length, zxid > 0], [ErrorCode.NoNode, 0, true]);
    });
  });
}

describe("the client without a server", () => {
  it("says what it tried when there is none in time, and ends at once when closed", async () => {
    const client = connect(runtime, { servers: "127.0.0.1:1", timeoutMs: 5000 });
    await assert.rejects(
      client.ready(300),
      /ConnectionLoss: no connection within 300 ms, tried 127.0.0.1:1: connection refused/,
    );
    const waiting = client.exists("/");
    await within(1000, "close", client.close());
    await assert.rejects(waiting, refusal(ErrorCode.SessionExpired));
    assert.equal(client.state, "closed");
  });

  it("gives a request up that waited for a connection too long", async () => {
    const client = connect(runtime, { servers: "127.0.0.1:1", timeoutMs: 5000, queueMsMax: 300 });
    await assert.rejects(within(3000, "the request", client.exists("/")), refusal(ErrorCode.ConnectionLoss));
    client.abandon();
  });

  it("refuses a connect string that it cannot read, and says what is wrong with it", () => {
    for (const servers of ["", "/a", "host:99999", "a:b", "h:1/a//b", "h:1/a/"]) {
      assert.throws(() => connect(runtime, { servers }), /Cannot use/, servers);
    }
  });
});
