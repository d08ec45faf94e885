"""The image of the Dockerfile, and what Compose does with it, on real servers without Docker."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from importlib.metadata import packages_distributions
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import Any

import pytest
import redis
import yaml

from core.pipeline import Profile
from devstack import PrefectServer, RedisServer
from store.keys import Keys
from store.preflight import preflight

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DEPLOYED = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SCHEDULED_SECONDS = 60.0


def copied() -> list[str]:
    """What the Dockerfile takes from the project."""
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder with just the files that the image has in /app."""
    folder = tmp_path / "app"
    folder.mkdir()
    for source in copied():
        if (ROOT / source).is_dir():
            copytree(ROOT / source, folder / source, ignore=ignore_patterns("__pycache__"))
        else:
            copy(ROOT / source, folder)
    return folder


def test_the_image_has_every_package_and_what_a_run_needs(image_folder: Path) -> None:
    packages = {name.partition(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]}
    assert {*packages, "pyproject.toml", "constraints.txt", "prefect.yaml"} <= set(copied())
    for deployment in DEPLOYED:
        assert (image_folder / deployment["entrypoint"].partition(":")[0]).is_file()
        assert (image_folder / deployment["parameters"]["config"]).is_file()
    assert (image_folder / SERVICES["worker"]["environment"]["PREFETCH_CONFIG"]).is_file()
    assert (image_folder / PROJECT["project"]["readme"]).is_file()


def test_only_what_is_copied_leaves_the_project() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied())
    assert "**/.env" in rules[rules.index("!examples/demo_bank") :]


def test_the_image_installs_what_its_packages_import() -> None:
    [install] = re.findall(r"pip install (--constraint .+)$", DOCKERFILE, re.MULTILINE)
    extra = install.split(" . ")[1].split()
    installed = {re.split(r"[\[<>=]", need)[0] for need in PROJECT["project"]["dependencies"]}
    homes = packages_distributions()
    ours = {name for name in copied() if (ROOT / name).is_dir()}
    for file in (file for name in ours for file in (ROOT / name).rglob("*.py")):
        for module in imported(file) - set(sys.stdlib_module_names) - ours - {"__future__"}:
            found = {home.lower() for home in homes.get(module, [])}
            assert found & {*installed, *extra}, f"{file.relative_to(ROOT)} imports {module}"


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


# --- parts that need no container, on real servers


class RedisOfCompose(RedisServer):
    """The dev stack's Redis, set up by nothing but the file of compose.yaml."""

    def command(self) -> list[str]:
        program, _, *options = super().command()
        modules = [options[i + 1] for i, word in enumerate(options) if word == "--loadmodule"]
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data)]
        loaded = [word for path in modules for word in ("--loadmodule", path)]
        return [program, str(self.folder / "redis.conf"), *place, *loaded]


def test_redis_with_its_file_is_fit_and_keeps_the_profiles(tmp_path: Path) -> None:
    content = COMPOSE["configs"]["redis"]["content"].replace("${REDIS_PASSWORD}", "secret")
    (tmp_path / "redis.conf").write_text(content)
    with RedisOfCompose(tmp_path).start() as server:
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port).ping()
        with redis.Redis(port=server.port, password="secret") as client:
            preflight(client, Keys(Profile(name="demo_bank", anchor="core.customer")))
            client.execute_command("JSON.SET", "profile:1", "$", '{"user_id": 1}')
            client.execute_command("WAITAOF", 1, 0, 10_000)
        server.kill()
        server.start()
        with redis.Redis(port=server.port, password="secret") as client:
            assert client.execute_command("JSON.GET", "profile:1") == b'{"user_id":1}'
            for name in ("eviction", "expire", "server-del", "user-del", "user-flush"):
                assert client.config_get(f"lazyfree-lazy-{name}") == {f"lazyfree-lazy-{name}": "no"}


def test_deployments_are_registered_twice_and_scheduled(tmp_path: Path, image_folder: Path) -> None:
    """Scheduled, too: with SQLAlchemy 2.1 the server of Prefect 3.8 never gets that far."""
    with PrefectServer(tmp_path / "prefect").start() as server:
        path = f"{Path(sys.executable).parent}:{os.defpath}"
        told = {"PATH": path, "HOME": str(tmp_path), "PREFECT_API_URL": server.url}
        for _ in range(2):
            done = subprocess.run(
                SERVICES["deployments"]["command"],
                cwd=image_folder,
                env=told,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        [pool] = asked(server.url, "work_pools")
        assert (pool["name"], pool["type"]) == ("profiles", "process")
        found = asked(server.url, "deployments")
        assert {d["name"] for d in found} == {d["name"] for d in DEPLOYED}
        steps = [step for d in found for step in d["pull_steps"]]
        assert steps == [
            {"prefect.deployments.steps.set_working_directory": {"directory": str(image_folder)}}
        ] * len(DEPLOYED)
        scheduled = {d["id"] for d in found if any(s["active"] for s in d["schedules"])}
        assert scheduled
        until = time.monotonic() + SCHEDULED_SECONDS
        while scheduled - {run["deployment_id"] for run in asked(server.url, "flow_runs")}:
            assert time.monotonic() < until, server.log.read_text()[-2000:]
            time.sleep(0.5)


def asked(url: str, what: str) -> list[dict[str, Any]]:
    """All that the Prefect server has of a kind."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/{what}/filter", b"{}", headers)
    with urllib.request.urlopen(request) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
