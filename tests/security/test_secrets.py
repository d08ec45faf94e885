"""Where secrets may come from, and what a process leaves behind."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from core.environment import value_of
from core.errors import ConfigError
from core.pipeline_file import load_pipeline
from core.settings import load_settings
from flows.own_process import leave_nothing
from tests.forked import Forks

SECRET = "s3cret-canary"
URL = f"redis://u:{SECRET}@h/0"
PIPELINE = """\
profile: {name: p, anchor: core.client, user_id: {type: integer}}
sources: {core: {kind: sql, url: "${CORE_URL}"}}
datasets: {core.client: {user_id: id, into: identity, fields: [name]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_text(URL + "\n", encoding="utf-8")
    return made


def test_a_file_that_the_environment_names(file: Path) -> None:
    assert value_of({"A_FILE": str(file)}, "A") == URL
    assert value_of({"A": "x"}, "A") == "x"
    assert value_of({"A": "", "A_FILE": ""}, "A") is None
    assert value_of({"A": "", "A_FILE": str(file)}, "A") == URL


@pytest.mark.parametrize(
    ("environ", "content", "problem"),
    [
        ({"A": SECRET}, URL, "A and A_FILE are both set"),
        ({}, "\n", "A_FILE: the file is empty"),
        ({}, b"\xff" + SECRET.encode(), "A_FILE: can't read the file: it is not UTF-8 text"),
        ({}, None, "A_FILE: can't read the file: No such file or directory"),
    ],
)
def test_files_that_can_not_be_used(
    environ: dict[str, str], content: str | bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        value_of({**environ, "A_FILE": str(file)}, "A")
    assert problem in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_settings_take_secrets_from_files(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(file))
    monkeypatch.setenv("PREFETCH_HASH_KEY_FILE", str(file))
    found = load_settings()
    assert found.redis_url.get_secret_value() == URL
    assert found.hash_key is not None and found.hash_key.get_secret_value() == URL
    assert SECRET not in repr(found)


def test_the_pipeline_file_takes_urls_from_files(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "p.yaml"
    config.write_text(PIPELINE, encoding="utf-8")
    file.write_text(f"postgresql://u:{SECRET}@h/d\n", encoding="utf-8")
    found = load_pipeline(config, {"CORE_URL_FILE": str(file)})
    assert found.sources["core"].url.get_secret_value() == f"postgresql://u:{SECRET}@h/d"
    assert SECRET not in repr(found)
    with pytest.raises(ConfigError, match=r"p.yaml:2:29: sources → core → url: CORE_URL_FILE"):
        load_pipeline(config, {"CORE_URL_FILE": str(tmp_path / "gone")})


def test_a_process_leaves_no_core_and_no_open_file(forks: Forks, tmp_path: Path) -> None:
    """As ``prefetch`` in a process of its own; what a run adds is the next test's."""
    program = (
        "import json, os, resource, sys\n"
        "os.umask(0o022)\n"
        "from flows import command_line\n"
        "command_line.main(standalone_mode=False)\n"
        "limits = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "print(json.dumps([limits[0], os.umask(0)]))\n"
    )
    config = tmp_path / "p.yaml"
    config.write_text(PIPELINE, encoding="utf-8")
    environ = {"CORE_URL": "sqlite:///x.db", "PATH": os.environ["PATH"]}
    with forks.prefetch(
        "check", "--offline", "--config", str(config), env=environ, program=program
    ) as started:
        ran = started.ended(60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == [0, 0o077]


def test_every_run_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's run does not come through the command."""
    before, mask = resource.getrlimit(resource.RLIMIT_CORE), os.umask(0o022)
    try:
        leave_nothing()
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
        assert os.umask(0o022) == 0o077
        called: list[bool] = []
        monkeypatch.setattr("flows.pipeline.leave_nothing", lambda: called.append(True))
        monkeypatch.delenv("REDIS_URL", raising=False)
        from core.errors import ConfigError
        from flows.pipeline import carry_out
        from flows.request import Request

        with pytest.raises(ConfigError):
            carry_out(Request("nightly", Path("nowhere.yaml")))
        assert called == [True]
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        os.umask(mask)
