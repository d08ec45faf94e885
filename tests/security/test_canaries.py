"""A few runs over the bank of canaries; ``make faults`` holds all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import PrefectServer, RedisServer, Stack
from tests.forked import MAIN, Forks
from tests.programs import url_of_mariadb
from tests.security.canaries import FORGED, KEYS, PASSWORD_OF, PLANTED, VALUES, CanaryBank, Hosts
from tests.security.canary_runs import Place, leaks_of, trials
from tests.security.leaks import in_folder, in_prefect, in_text

SOME = (
    "a first night",
    "show",
    "forget, with lines",
    "a hook that explodes",
    "LENDING: wrong login",
    "Redis: wrong password",
    "a mistake of ours in bodies",
    "ended by SIGTERM",
    "secrets in files",
)

TELLS = f"""\
import flows.publishing, flows.pipeline
from prefect import get_run_logger
def page(report):
    get_run_logger().warning("{PLANTED}")
    return "keyc999999"
flows.publishing.page = page
"""


@pytest.fixture(scope="module")
def place(
    stack: Stack, prefect: PrefectServer, forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("canaries")
    hosts = Hosts(stack.urls["postgres"], url_of_mariadb(stack), stack.urls["mongodb"])
    with RedisServer(folder / "redis", password=PASSWORD_OF["redis"]) as target:
        bank = CanaryBank(hosts, folder / "bank", "canaries")
        yield Place(bank, target, forks, prefect.url, folder)


def test_nothing_is_found(place: Place, prefect: PrefectServer) -> None:
    assert place.bank.planted > 200
    found, told = [], ""
    for trial in trials():
        if trial.name in SOME:
            ended = trial.hold(place)
            assert ended.bit, (trial.name, ended.code, ended.output)
            found += leaks_of(place, trial, ended)
            told += ended.output
    assert "•••" in told
    assert found == []
    time.sleep(2)
    assert list(in_prefect(prefect.url, prefect.data / "prefect.db")) == []


def test_the_profiles_have_them(place: Place) -> None:
    with place.admin as admin:
        profile = admin.execute_command("JSON.GET", "profile:7")
        assert len(set(VALUES.findall(profile))) > 10
        assert len(set(KEYS.findall(profile))) > 2


def test_what_a_run_says_would_be_found(place: Place, prefect: PrefectServer) -> None:
    process = place.start("run", program=TELLS + MAIN)
    with process:
        out, errors = process.communicate(120)
    assert PLANTED in "".join(in_text((out + errors).encode(), "output"))
    deadline = time.monotonic() + 20
    while True:
        places = {
            text.partition(":")[0] for text in in_prefect(prefect.url, prefect.data / "prefect.db")
        }
        if places >= {"API logs", "API artifacts"} and any(
            p.startswith("prefect.db") for p in places
        ):
            return
        assert time.monotonic() < deadline, places
        time.sleep(0.5)


def test_what_lies_about_would_be_found(tmp_path: Path) -> None:
    stage = tmp_path / "stage-1"
    stage.mkdir()
    (stage / "rows.arrow").write_text(PLANTED)
    (stage / "rows.arrow").chmod(0o644)
    told = " ".join(in_folder(tmp_path, tmp_path / "quarantine"))
    for each in (PLANTED, "others may read", "a stage is left"):
        assert each in told


def test_a_line_that_a_value_begins_would_be_found() -> None:
    assert list(in_text(f"a\nERR{FORGED}".encode(), "log"))
    assert not list(in_text(repr(f"a\nERR{FORGED}").encode(), "log"))
