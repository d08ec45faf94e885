"""What a Redis may answer in the middle of a run: it loads, its disk is full, it is crowded."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from core.errors import TargetDenied, TargetUnavailable
from devstack import RedisServer
from store.client import client_of
from store.preflight import preflight
from store.writer import Limits
from tests.store.conftest import FAST, Bank
from tests.store.test_continuity import AOF, Run, is_all_there, once
from tests.store.test_store_faults import on_batch

WAIT_S = 20.0
ONCE = Limits(tries=1)


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_that_loads_its_data_is_waited_for(
    tmp_path: Path, make_bank: Callable[..., Bank]
) -> None:
    slow = [*AOF, "--key-load-delay", "250"]
    with RedisServer(tmp_path / "slow", extra_args=slow) as server:
        bank = make_bank(server.url)
        with bank.client.pipeline(transaction=False) as pipe:
            for number in range(5000):
                pipe.set(f"others:{number}", "x")
            pipe.execute()

        def is_loading() -> bool:
            try:
                with client_of(server.url, FAST) as client:
                    client.get("x")
            except redis.BusyLoadingError:
                return True
            except redis.RedisError:
                pass
            return False

        starting = threading.Thread(target=server.start)

        def restart() -> None:
            server.kill()
            starting.start()
            until(is_loading)

        run = Run(bank, bank.url, at=once("check", restart))
        run.carry_out(bank.documents(50))
        starting.join()
        assert run.attempts == 2
        is_all_there(bank, run, 50)


def test_one_that_cannot_save_refuses_to_write_and_says_so(own_bank, own_server) -> None:
    """MISCONF: reading goes on, and a run succeeds once the disk is mended."""
    own_bank.load(own_bank.documents(20))
    epoch = own_bank.draw()
    admin = own_bank.client
    admin.config_set("save", "3600 1")
    shutil.rmtree(own_server.data)
    admin.bgsave()
    until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    with pytest.raises(TargetUnavailable, match=r"MISCONF.*can't save to its disk"):
        own_bank.load(own_bank.documents(20, 2), epoch, limits=ONCE)
    with pytest.raises(TargetUnavailable, match="MISCONF"):
        preflight(admin, own_bank.keys)
    assert own_bank.version("7") == 1
    admin.config_set("save", "")
    assert own_bank.load(own_bank.documents(20, 2), epoch).counts.updated == 20


def test_one_that_is_crowded_says_so(own_bank) -> None:
    epoch = own_bank.draw()
    admin = own_bank.client
    admin.config_set("maxclients", 1)
    told = set()
    for _ in range(3):  # the answer may be lost, as the server hangs up behind it
        with pytest.raises(TargetUnavailable) as caught:
            own_bank.load(own_bank.documents(20), epoch, limits=ONCE)
        told.add(str(caught.value))
    assert any("maxclients" in text for text in told)
    assert own_bank.dump() == {}
    back = threading.Timer(0.3, admin.config_set, ("maxclients", 100))
    back.start()
    loaded = own_bank.load(own_bank.documents(20), epoch, limits=Limits(tries=8))
    back.join()
    assert loaded.counts.created == 20


def test_a_password_that_is_changed_in_mid_load_stops_at_once(
    own_bank, own_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = own_bank.client
    admin.execute_command("ACL", "SETUSER", "loader", "on", ">old", "~*", "+@all")

    def rotate() -> None:
        admin.execute_command("ACL", "SETUSER", "loader", "resetpass", ">new")
        admin.execute_command("CLIENT", "KILL", "USER", "loader")

    ran = on_batch(monkeypatch, 4, rotate)
    url = f"redis://loader:old@127.0.0.1:{own_server.port}/0"
    with pytest.raises(TargetDenied, match="WRONGPASS"):
        own_bank.load(own_bank.documents(600), url=url)
    assert ran
    # One connection found it out, and the one that would give the fence back.
    assert admin.info("stats")["acl_access_denied_auth"] <= 2
    own_bank.load(own_bank.documents(600), url=url.replace("old", "new"))
