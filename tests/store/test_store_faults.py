"""Cut connections, stalled and killed servers, no memory, readers beside a load."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import orjson
import pytest
import redis

from core.document import opened
from core.errors import FenceLost, TargetDenied, TargetError, TargetUnavailable, TargetUnfit
from devstack import RedisServer
from store.client import Timeouts, client_of
from store.facts import Server
from store.lanes import Lane
from store.wire import Restarted
from store.writer import Limits

QUICK = Timeouts(connect_s=0.3, answer_s=0.5)
IMPATIENT = Limits(tries=3, fence_wait_s=5, fence_alive_s=1)


def on_batch(monkeypatch, number: int, action) -> list[int]:
    """Runs an action just before the given batch is sent; returns a list that proves it ran."""
    sent, ran, send = [0], [], Lane.send

    def counted(lane, batch, refresh, found) -> None:
        sent[0] += bool(batch.writes)
        if sent[0] == number and not ran:
            ran.append(number)
            action()
        send(lane, batch, refresh, found)

    monkeypatch.setattr(Lane, "send", counted)
    return ran


def all_good(bank, loaded, users: int) -> None:
    checked = bank.check(loaded.expected)
    assert (checked.findings, checked.documents) == ({}, 2 * users)


def test_replies_lost_after_the_batch_was_executed(bank, proxy) -> None:
    """The outcome is unknown to us: the batch is sent again, and the result is right."""
    cuts = []

    def cut_reply(link, data: bytes) -> bytes | None:
        if b"QUEUED" in data and len(cuts) < 3:
            cuts.append(len(data))
            return None
        return data

    proxy.on_reply = cut_reply
    loaded = bank.load(bank.documents(300), url=proxy.url, complete=True)
    assert len(cuts) == 3
    assert loaded.counts.created == 300
    all_good(bank, loaded, 300)


@pytest.mark.parametrize("kept", [0, 1, 20, 700, 2000])
def test_a_request_cut_anywhere(bank, proxy, kept: int) -> None:
    cuts = []

    def cut_request(link, data: bytes) -> bytes | None:
        if b"JSON.SET" in data and not cuts:
            cuts.append(1)
            link.server.sendall(data[:kept])
            return None
        return data

    proxy.on_request = cut_request
    loaded = bank.load(bank.documents(100), url=proxy.url, complete=True)
    assert cuts == [1]
    assert loaded.counts.created == 100
    all_good(bank, loaded, 100)


def test_every_connection_cut_now_and_then(bank, proxy) -> None:
    cuts, chance = [0], random.Random(4711)

    def unreliable(link, data: bytes) -> bytes | None:
        cut = chance.random() < 0.04
        cuts[0] += cut
        return None if cut else data

    bank.load(bank.documents(300, 1))
    proxy.on_reply = unreliable
    for version in range(2, 8):
        for _ in range(20):
            loaded = None
            with suppress(TargetUnavailable):
                loaded = bank.load(bank.documents(300, version), url=proxy.url, limits=IMPATIENT)
                break
        all_good(bank, loaded, 300)
        assert bank.version("299") == version
    assert cuts[0] >= 3


def test_a_reply_of_another_length_is_never_taken_for_other_users(bank, proxy) -> None:
    bank.load(bank.documents(30, 1))
    struck = []

    def shorter(link, data: bytes) -> bytes:
        if data.startswith(b"*30\r\n") and not struck:
            struck.append(1)
            return b"*20" + data[3:]
        return data

    proxy.on_reply = shorter
    with pytest.raises(TargetUnavailable, match="out of order"):
        bank.load(bank.documents(30, 2), url=proxy.url, limits=IMPATIENT)
    assert struck
    assert {bank.version(str(n)) for n in range(30)} == {1}


def test_bytes_held_back_by_a_proxy_do_nothing_once_a_newer_run_has_written(bank, proxy) -> None:
    """As a load balancer would: the timed-out batch reaches Redis after the newer run's."""
    held: list[tuple[object, bytes]] = []

    def hold(link, data: bytes) -> bytes | None:
        if b"JSON.SET" in data:
            held.append((link, data))
            return b""
        return data

    proxy.on_request = hold
    old = bank.draw()
    with pytest.raises(TargetUnavailable):
        bank.load(bank.documents(90), old, url=proxy.url, timeouts=QUICK, limits=IMPATIENT)
    assert len(held) >= 3
    bank.load(bank.documents(90, 2))
    before = bank.dump()
    for link, data in held:
        try:
            link.server.sendall(data)
        except OSError:
            pass
    time.sleep(0.2)
    assert bank.dump() == before
    assert {bank.version(str(n)) for n in range(90)} == {2}


def test_a_document_deleted_by_someone_else_is_reported(bank, monkeypatch) -> None:
    bank.load(bank.documents(50))
    gone = bank.keys.profile("7")
    ran = on_batch(monkeypatch, 1, lambda: bank.client.delete(gone))
    loaded = bank.load(bank.documents(50), raise_epoch=True)
    assert ran
    assert loaded.quarantined == {"7": "vanished"}
    assert loaded.counts.unchanged == 49
    assert bank.load(bank.documents(50)).counts.created == 1


def test_a_server_that_stalls_is_unavailable_and_the_run_can_be_repeated(
    own_bank, own_server, monkeypatch
) -> None:
    ran = on_batch(monkeypatch, 4, own_server.pause)
    with pytest.raises(TargetUnavailable, match="no answer in time"):
        own_bank.load(own_bank.documents(300), timeouts=QUICK, limits=IMPATIENT)
    assert ran
    own_server.resume()
    loaded = own_bank.load(own_bank.documents(300), limits=IMPATIENT)
    all_good(own_bank, loaded, 300)


def test_a_short_stall_is_outlived(own_bank, own_server, monkeypatch) -> None:
    def stall() -> None:
        own_server.pause()
        threading.Timer(1.2, own_server.resume).start()

    ran = on_batch(monkeypatch, 4, stall)
    loaded = own_bank.load(own_bank.documents(300), timeouts=QUICK, limits=Limits(tries=8))
    assert ran
    all_good(own_bank, loaded, 300)


def test_a_killed_server_is_no_success(own_bank, own_server, monkeypatch) -> None:
    ran = on_batch(monkeypatch, 4, own_server.kill)
    with pytest.raises(TargetUnavailable):
        own_bank.load(own_bank.documents(300), limits=IMPATIENT)
    assert ran


def test_a_server_that_came_back_empty_is_no_success(own_bank, own_server, monkeypatch) -> None:
    def restart() -> None:
        own_server.kill()
        own_server.start()

    ran = on_batch(monkeypatch, 4, restart)
    with pytest.raises(TargetUnavailable, match="another server answers"):
        own_bank.load(own_bank.documents(300), limits=IMPATIENT)
    assert ran
    assert own_bank.dump() == {}


def test_a_server_that_came_back_with_the_fence_is_no_success(
    tmp_path, make_bank, monkeypatch
) -> None:
    """With an AOF the fence survives, but the last second of writes may not have."""
    options = ["--appendonly", "yes", "--appendfsync", "always"]
    with RedisServer(tmp_path, extra_args=options) as server:
        bank = make_bank(server.url)

        def restart() -> None:
            server.kill()
            server.start()

        ran = on_batch(monkeypatch, 4, restart)
        epoch = bank.draw()
        with pytest.raises(Restarted):
            bank.load(bank.documents(300), epoch, limits=IMPATIENT)
        assert ran
        assert bank.client.get(bank.keys.fence(0)) is not None
        all_good(bank, bank.load(bank.documents(300), epoch), 300)


def test_a_server_other_than_preflights_is_refused(bank) -> None:
    with pytest.raises(Restarted):
        bank.load(bank.documents(3), server=Server("0" * 40, None))


def test_flushall_in_mid_load_is_no_success(own_bank, monkeypatch) -> None:
    ran = on_batch(monkeypatch, 4, lambda: own_bank.client.execute_command("FLUSHALL", "SYNC"))
    with pytest.raises(FenceLost, match="Redis may have lost its data"):
        own_bank.load(own_bank.documents(600))
    assert ran
    assert own_bank.dump() == {}


def test_no_memory_in_mid_load_leaves_whole_documents(own_bank) -> None:
    bank = own_bank
    bank.load(bank.documents(200, 1))
    used = bank.client.info("memory")["used_memory"]
    bank.client.config_set("maxmemory", used + 1_500_000)
    with pytest.raises(TargetUnfit, match=r"OOM.*maxmemory"):
        bank.load(bank.documents(5000, 2, size=2000), complete=True)
    documents = {key: opened(text) for key, text in bank.dump().items()}
    assert all(found.sound for found in documents.values())
    assert {bank.version(str(n)) for n in range(200)} <= {1, 2}
    assert 400 < len(documents) < 10_000
    assert not bank.client.exists(bank.keys.floor(0), bank.keys.fence(0))
    bank.client.config_set("maxmemory", 0)
    all_good(bank, bank.load(bank.documents(5000, 2, size=2000), complete=True), 5000)


def test_a_right_revoked_in_mid_load_stops_at_once(own_bank, own_server, monkeypatch) -> None:
    admin = own_bank.client
    admin.execute_command("ACL", "SETUSER", "loader", "on", ">pw", "~*", "+@all")
    ran = on_batch(
        monkeypatch, 4, lambda: admin.execute_command("ACL", "SETUSER", "loader", "-json.set")
    )
    with pytest.raises(TargetDenied, match="NOPERM"):
        own_bank.load(
            own_bank.documents(600), url=f"redis://loader:pw@127.0.0.1:{own_server.port}/0"
        )
    assert ran


def test_a_busy_server_is_tried_again(own_bank, monkeypatch) -> None:
    """A long script makes Redis answer BUSY to everything."""
    admin = own_bank.client
    admin.config_set("busy-reply-threshold", 50)
    script = "local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 2 do end return 1"

    other = client_of(own_bank.url)
    blocker = threading.Thread(target=lambda: other.eval(script, 0))

    def block() -> None:
        blocker.start()
        time.sleep(0.3)

    ran = on_batch(monkeypatch, 4, block)
    loaded = own_bank.load(own_bank.documents(300), limits=Limits(tries=8))
    blocker.join()
    other.close()
    assert ran
    all_good(own_bank, loaded, 300)


def test_a_reader_sees_profile_and_credential_of_one_version_and_never_nothing(bank) -> None:
    """Reads all through eight loads, profile and credential in one transaction."""
    users = 150
    bank.load(bank.documents(users, 1))
    stop, problems, reads = threading.Event(), [], [0]

    def read() -> None:
        with client_of(bank.url) as client:
            user = 0
            while not stop.is_set():
                user = (user + 7) % users
                pipe = client.pipeline(transaction=True)
                pipe.execute_command("JSON.GET", bank.keys.profile(str(user)))
                pipe.execute_command("JSON.GET", bank.keys.credential(str(user)))
                texts = pipe.execute()
                versions = {orjson.loads(text)["version"] if text else None for text in texts}
                if len(versions) > 1 or None in versions:
                    problems.append(versions)
                reads[0] += 1

    thread = threading.Thread(target=read)
    thread.start()
    for version in range(2, 10):
        bank.load(bank.documents(users, version))
    time.sleep(0.1)
    stop.set()
    thread.join()
    assert reads[0] > 50
    assert problems == []


CANARY = "CANARY-4711"


@pytest.mark.parametrize("fault", ["cut", "wrong_type", "oom", "denied", "odd"])
def test_no_value_shows_in_an_error(own_bank, own_server, monkeypatch, fault: str) -> None:
    bank = own_bank
    documents = bank.documents([f"{CANARY}-{n}" for n in range(50)])
    documents.bodies[:] = [body + f',"name":"{CANARY}"'.encode() for body in documents.bodies]
    url = f"redis://loader:{CANARY}@127.0.0.1:{own_server.port}/0"
    bank.client.execute_command("ACL", "SETUSER", "loader", "on", f">{CANARY}", "~*", "+@all")
    epoch = bank.draw()
    if fault == "oom":
        bank.client.config_set("maxmemory", 1)
    elif fault == "denied":
        bank.client.execute_command("ACL", "SETUSER", "loader", "-json.set")
    elif fault == "cut":
        on_batch(monkeypatch, 1, own_server.kill)
    elif fault == "odd":
        documents.bodies[3] = documents.bodies[3] + b",,"
    else:
        bank.client.set(bank.keys.profile(f"{CANARY}-1"), "x")
        monkeypatch.setattr("store.look._NOT_WRONG", (b"string", b"none", b"ReJSON-RL"))
    try:
        loaded = bank.load(documents, epoch, url=url, limits=IMPATIENT)
    except TargetError as error:
        text = repr(error) + str(error)
        assert error.__suppress_context__ or error.__context__ is None
    else:
        assert fault == "wrong_type"
        assert loaded.quarantined == {f"{CANARY}-1": "wrong_type"}
        assert loaded.counts.created == 49
        return
    assert fault != "wrong_type"
    assert CANARY not in text


def test_the_drivers_own_errors_do_leak(bank) -> None:
    """Why they are never passed on."""
    pipe = bank.client.pipeline()
    pipe.execute_command("JSON.SET", "x", "$", '{"name":"' + CANARY)
    with pytest.raises(redis.ResponseError) as caught:
        pipe.execute()
    assert CANARY in str(caught.value)
