"""compose.yaml, as far as it can be judged without Docker.

Its structure against the specification's schema, and every name against what it must lead to.
"""

from __future__ import annotations

import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prefect.settings.models.root import Settings as PrefectSettings

from core.settings import Settings, load_settings
from devstack import PrefectServer
from devstack.bank.servers import servers_of
from flows.command_line import main

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DEPLOYED = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if "build" in service]
ONCE = [name for name, service in SERVICES.items() if service["restart"] == "no"]
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def filled(text: str) -> str:
    """The text as Compose would pass it on, each password being its variable's name."""

    def value(found: re.Match[str]) -> str:
        return found["rest"] if found["kind"] == "-" else found["name"].lower()

    return VARIABLE.sub(value, text).replace("$$", "$")


def environment(service: str) -> dict[str, str]:
    return {name: filled(text) for name, text in SERVICES[service]["environment"].items()}


def variables(text: str) -> set[str]:
    return {found["name"] for found in VARIABLE.finditer(text)}


def pipeline_variables(file: Path) -> set[str]:
    return variables((ROOT / file).read_text(encoding="utf-8"))


def published(service: str) -> list[tuple[str, str, str]]:
    """Address, port on the host and port in the container, of each published port."""
    ports = [filled(port).split(":") for port in SERVICES[service].get("ports", [])]
    return [(host, outside, inside) for host, outside, inside in ports]


# --- the file


def test_the_file_fits_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_wait_for_services_in_an_order_that_exists() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            healthy = wait["condition"] == "service_healthy"
            assert healthy or wait["condition"] == "service_completed_successfully"
            assert healthy == (other not in ONCE), f"{name} would wait for {other} for good"
    graph = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(SERVICES)


def test_volumes_and_configs_are_those_declared() -> None:
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])]
    assert sorted(mounted) == sorted(COMPOSE["volumes"])
    configs = [c["source"] for s in SERVICES.values() for c in s.get("configs", [])]
    assert sorted(configs) == sorted(COMPOSE["configs"])


def test_services_that_last_have_a_health_check() -> None:
    lasting = [name for name in SERVICES if name not in ONCE]
    assert [name for name in lasting if "healthcheck" not in SERVICES[name]] == []
    assert sorted(ONCE) == ["bank", "deployments", "mongodb-replica-set"]


def test_ports_are_unique_and_on_this_machine_only() -> None:
    ports = [port for name in SERVICES for port in published(name)]
    assert {host for host, _, _ in ports} == {"127.0.0.1"}
    outside = [port for _, port, _ in ports]
    assert len(outside) == 5
    assert len(set(outside)) == len(outside)


def test_images_are_pinned_by_tag_and_name_no_registry() -> None:
    base = re.findall(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE)
    foreign = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    for image in [*base, *foreign]:
        assert re.fullmatch(r"[a-z]+:\d[\w.-]*", image), image


def test_passwords_come_from_outside_and_are_asked_for() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    asked = {found["name"] for found in VARIABLE.finditer(text) if found["kind"] == "?"}
    used = {name for name in variables(text) if name.endswith("_PASSWORD")}
    assert asked == used
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if name.endswith(("_PASSWORD", "_AUTH")) and name != "MARIADB_RANDOM_ROOT_PASSWORD":
                assert VARIABLE.fullmatch(value), name
            elif "@" in value:
                assert re.search(r":\$\{\w+_PASSWORD}@", value), name
    page = (ROOT / "docs/docker.md").read_text(encoding="utf-8")
    assert [name for name in sorted(variables(text)) if f"`{name}`" not in page] == []


# --- what the containers are told


def known_variables() -> set[str]:
    """Names that the project itself, or a pipeline file that it ships, listens to."""
    ours = {str(field.validation_alias) for field in Settings.model_fields.values()}
    options = {p.envvar for command in main.commands.values() for p in command.params}
    files = [pipeline_variables(file) for file in ROOT.glob("examples/*/pipeline.yaml")]
    return {*ours, *filter(None, options), *set().union(*files)}


def prefect_variables(node: Any) -> set[str]:
    """Every environment variable that Prefect's settings model names."""
    if isinstance(node, list):
        return set().union(*map(prefect_variables, node))
    if not isinstance(node, dict):
        return set()
    here = node.get("supported_environment_variables", [])
    return set(here).union(*map(prefect_variables, node.values()))


def test_the_worker_is_told_nothing_unknown() -> None:
    told = set(SERVICES["worker"]["environment"])
    prefect = {name for name in told if name.startswith("PREFECT_")}
    assert told - prefect <= known_variables()


@pytest.mark.parametrize("name", OURS)
def test_prefect_knows_and_takes_its_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {k: v for k, v in environment(name).items() if k.startswith("PREFECT_")}
    assert set(told) <= prefect_variables(PrefectSettings.model_json_schema())
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    PrefectSettings()  # or a ValidationError


def test_the_worker_has_all_that_its_flows_need(monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment("worker")
    configs = {told["PREFETCH_CONFIG"], *(d["parameters"]["config"] for d in DEPLOYED)}
    for config in configs:
        assert pipeline_variables(Path(config)) <= set(told), config
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.redis_url.get_secret_value() == told["REDIS_URL"]
    assert SERVICES["worker"]["volumes"] == [f"stage:{settings.stage_dir}"]


def test_our_volumes_cover_folders_that_only_our_user_may_enter() -> None:
    [private] = re.findall(r"--owner=prefetch --mode=0700 (.+)$", DOCKERFILE, re.MULTILINE)
    covered = {v.split(":")[1] for name in OURS for v in SERVICES[name].get("volumes", [])}
    assert covered == set(private.split())
    assert "/app/.devstack/bank" in covered  # where devstack.bank keeps its book
    assert DOCKERFILE.splitlines()[-1] == "USER prefetch"


def test_the_worker_reads_what_the_bank_makes() -> None:
    told = environment("worker")
    lines = servers_of(environment("bank")).lines
    assert {name: told[name] for name in lines} == lines
    assert told["DEMO_LENDING_URL"].endswith(f"/{environment('mariadb')['MARIADB_DATABASE']}")


def test_addresses_lead_to_services_and_their_ports() -> None:
    inside = {name: {int(port) for *_, port in published(name)} for name in SERVICES}
    inside["prefect-db"] = {5432}
    for name in OURS:
        for variable, value in environment(name).items():
            url = urlsplit(value)
            if url.hostname and url.hostname != "127.0.0.1":
                assert url.port in inside[url.hostname], variable
                assert url.hostname in reached(name), f"{name} does not wait for {url.hostname}"


def reached(name: str) -> set[str]:
    """The services that a service waits for, straight or through others."""
    straight = set(SERVICES[name].get("depends_on", {}))
    return straight.union(*map(reached, straight))


def test_the_server_is_set_up_as_the_dev_stack_does_it(tmp_path: Path) -> None:
    own_to_each = {"PREFECT_HOME", "PREFECT_SERVER_API_HOST"}
    dev = PrefectServer(tmp_path, port=4200).environ()
    chosen = {k: v for k, v in dev.items() if k.startswith("PREFECT_") or k == "DO_NOT_TRACK"}
    told = environment("prefect")
    assert len(chosen) > len(own_to_each)
    for name in set(chosen) - own_to_each:
        assert told[name] == chosen[name], name
