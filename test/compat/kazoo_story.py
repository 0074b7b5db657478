"""What kazoo's users do, as one story: python3 kazoo_story.py host:port

Prints a line a chapter and "all told" at the end; a broken expectation is a traceback and exit 1.
"""
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.security import make_digest_acl


def until(ready, what, seconds=15):
    end = time.time() + seconds
    while not ready():
        assert time.time() < end, "waited in vain: " + what
        time.sleep(0.02)


def refused(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError("%r was not refused with %s" % (args, kind.__name__))


hosts = sys.argv[1]
zk = KazooClient(hosts=hosts, timeout=10)
other = KazooClient(hosts=hosts, timeout=10)
zk.start(timeout=15)
other.start(timeout=15)

# Znodes.
zk.create("/k", b"one")
assert zk.get("/k")[0] == b"one"
stat = zk.set("/k", b"two", version=0)
assert stat.version == 1 and stat.dataLength == 3
refused(BadVersionError, zk.set, "/k", b"never", 0)
refused(NodeExistsError, zk.create, "/k")
refused(NoNodeError, zk.create, "/missing/x")
path, stat = zk.create("/k/both", b"x", include_data=True)
assert path == "/k/both" and stat.dataLength == 1
refused(NotEmptyError, zk.delete, "/k")
names = [zk.create("/k/s-", sequence=True) for _ in range(3)]
assert names == ["/k/s-%010d" % n for n in (1, 2, 3)], names
assert sorted(other.get_children("/k")) == ["both", "s-0000000001", "s-0000000002", "s-0000000003"]
zk.create("/k/deep/er/path", makepath=True)
children, stat = zk.get_children("/k", include_data=True)
assert stat.numChildren == len(children) == 5
print("znodes")

# Transactions.
t = zk.transaction()
t.create("/k/t1", b"a")
t.check("/k", 1)
t.set_data("/k", b"three")
t.delete("/k/both")
results = t.commit()
assert results[0] == "/k/t1" and results[1] is True and results[2].version == 2 and results[3] is True, results
t = zk.transaction()
t.create("/k/t2")
t.check("/k", 99)
t.delete("/k/t1")
results = t.commit()
assert [type(r) for r in results] == [RolledBackError, BadVersionError, RuntimeInconsistency], results
assert zk.exists("/k/t2") is None and zk.exists("/k/t1") is not None
print("transactions")

# ACLs.
acl = make_digest_acl("ann", "secret", all=True)
zk.create("/kazoo-guarded", b"x", acl=[acl])
refused(NoAuthError, zk.get, "/kazoo-guarded")
zk.add_auth("digest", "ann:secret")
assert zk.get("/kazoo-guarded")[0] == b"x"
acls, stat = zk.get_acls("/kazoo-guarded")
assert acls == [acl] and stat.aversion == 0
refused(NoAuthError, other.set, "/kazoo-guarded", b"y")
print("ACLs")

# Watches.
seen = []
other.exists("/k/watched", watch=seen.append)
zk.create("/k/watched", b"0")
until(lambda: len(seen) == 1, "NodeCreated")
assert seen[0].type == "CREATED" and seen[0].path == "/k/watched"
values = []


@other.DataWatch("/k/watched")
def data_changed(data, stat):
    values.append(data)


@other.ChildrenWatch("/k/watched")
def children_changed(children):
    values.append(sorted(children))


zk.set("/k/watched", b"1")
until(lambda: b"1" in values, "a data watch")
zk.create("/k/watched/c")
until(lambda: ["c"] in values, "a child watch")
print("watches")

# Ephemerals end with their session.
third = KazooClient(hosts=hosts, timeout=10)
third.start(timeout=15)
third.create("/k/ephemeral", ephemeral=True)
assert zk.get("/k/ephemeral")[1].ephemeralOwner == third.client_id[0]
gone = threading.Event()
assert zk.exists("/k/ephemeral", watch=lambda event: gone.set())
third.stop()
assert gone.wait(15)
assert zk.exists("/k/ephemeral") is None
third.close()
print("ephemerals")

# Recipes.
lock, rival = zk.Lock("/k/lock", "a"), other.Lock("/k/lock", "b")
assert lock.acquire(timeout=10)
assert not rival.acquire(blocking=False)
assert lock.contenders() == ["a"]
lock.release()
assert rival.acquire(timeout=10)
rival.release()
counter = zk.Counter("/k/counter")
rival_counter = other.Counter("/k/counter")
for _ in range(20):
    counter += 1
    rival_counter += 2
assert counter.value == 60
queue = zk.Queue("/k/queue")
for word in (b"first", b"second", b"third"):
    queue.put(word)
assert [other.Queue("/k/queue").get() for _ in range(3)] == [b"first", b"second", b"third"]
led = []
election = zk.Election("/k/election", "ann")
election.run(lambda: led.append(1))
assert led == [1]
barrier = zk.Barrier("/k/barrier")
barrier.create()
assert not other.Barrier("/k/barrier").wait(timeout=0.1)
barrier.remove()
assert other.Barrier("/k/barrier").wait(timeout=10)
print("recipes")

# A session survives the loss of its connection.
session = zk.client_id[0]
zk.create("/k/mine", ephemeral=True)
states = []
zk.add_listener(states.append)
zk._connection._socket.shutdown(2)
until(lambda: "CONNECTED" in states, "to be connected again")
assert states[0] == "SUSPENDED" and "LOST" not in states, states
assert zk.retry(zk.exists, "/k/mine") is not None and zk.client_id[0] == session
print("reconnect")

# The server's own words.
assert zk.command(b"ruok") == "imok"
assert "Mode: standalone" in zk.command(b"srvr")
assert zk.server_version() >= (3, 4)
print("words")

zk.delete("/k", recursive=True)
zk.delete("/kazoo-guarded")
for client in (zk, other):
    client.stop()
    client.close()
print("all told")
