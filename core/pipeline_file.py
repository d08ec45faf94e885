"""Reads a pipeline file: YAML with ``${NAME}``, and the place of every entry in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from core.check import problems_of
from core.environment import value_of
from core.errors import ConfigError
from core.pipeline import Pipeline
from core.reading import Reading

_OLD_TAGS = {"bool", "timestamp"}
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(:-(?P<default>[^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's reading of plain words: ``on``, ``no`` and dates stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag.rsplit(":")[-1] not in _OLD_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_NOT_A_KEY = {"function-before", "function-after", "constrained-str", "str", "int", "bool"}

Location = tuple[str | int, ...]


@dataclass
class Places:
    """Where each entry of a YAML file stands: line and column, both counted from 1."""

    file: Path
    marks: dict[Location, tuple[int, int]] = field(default_factory=dict)

    def of(self, location: Location) -> str:
        """``file:line:column`` of the entry, or of the nearest entry around it."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.marks:
                line, column = self.marks[location[:length]]
                return f"{self.file}:{line}:{column}"
        return str(self.file)


def load_pipeline(file: Path, environ: Mapping[str, str]) -> Pipeline:
    """The pipeline that a file describes.

    Raises:
        ConfigError: with every mistake of the file, each with its place.
    """
    raw, places, problems = read_yaml(file, environ)
    if problems:
        raise ConfigError(problems)
    try:
        pipeline = Pipeline.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_explained(error, places)) from None
    found = [
        f"{places.of(p.location)}: {_dotted(p.location)}: {p.text}" for p in problems_of(pipeline)
    ]
    if found:
        raise ConfigError(found)
    return pipeline


def load_reading(file: Path, environ: Mapping[str, str]) -> Reading:
    """What an app must know of a pipeline file; the variables of its sources need not be set.

    Raises:
        ConfigError: with every mistake in these parts, each with its place.
    """
    raw, places, problems = read_yaml(file, environ, frozenset(Reading.model_fields))
    if problems:
        raise ConfigError(problems)
    try:
        return Reading.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_explained(error, places)) from None


def read_yaml(
    file: Path, environ: Mapping[str, str], parts: frozenset[str] | None = None
) -> tuple[Any, Places, list[str]]:
    """The file's content with variables replaced, the places of its entries, and its mistakes.

    Args:
        parts: the keys at the top that matter; None for all.
    """
    places = Places(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{file}: can't read the pipeline file: {reason}") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(f"{place}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{file}: not valid YAML") from None
    problems: list[str] = []
    if not isinstance(node, yaml.MappingNode):
        return None, places, [f"{file}:1:1: a pipeline file is a mapping of profile, sources, …"]
    if parts is not None:
        node.value = [(key, value) for key, value in node.value if key.value in parts]
    return _built(node, (), places, environ, problems), places, problems


def _built(
    node: yaml.Node,
    location: Location,
    places: Places,
    environ: Mapping[str, str],
    problems: list[str],
) -> Any:
    places.marks.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        return _built_mapping(node, location, places, environ, problems)
    if isinstance(node, yaml.SequenceNode):
        return [
            _built(item, (*location, position), places, environ, problems)
            for position, item in enumerate(node.value)
        ]
    value = _Loader("").construct_object(node)
    if not isinstance(value, str):
        return value

    def replaced(found: re.Match[str]) -> str:
        place = f"{places.of(location)}: {_dotted(location)}"
        try:
            given = value_of(environ, found["name"]) or found["default"]
        except ConfigError as error:
            problems.append(f"{place}: {error}")
            return ""
        if given is None:
            problems.append(
                f"{place}: the environment variable "
                f"{found['name']} is not set; set it, or write ${{{found['name']}:-default}}"
            )
            return ""
        return given

    return _VARIABLE.sub(replaced, value)


def _built_mapping(
    node: yaml.MappingNode,
    location: Location,
    places: Places,
    environ: Mapping[str, str],
    problems: list[str],
) -> dict[Any, Any]:
    built: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = str(_Loader("").construct_object(key_node, deep=True))
        here = (*location, key)
        places.marks[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if key in built:
            problems.append(f"{places.of(here)}: {_dotted(here)}: stands here a second time")
        built[key] = _built(value_node, here, places, environ, problems)
    return built


def _explained(error: ValidationError, places: Places) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        location = tuple(part for part in problem["loc"] if part not in _NOT_A_KEY)
        known = location
        while known and known not in places.marks:
            known = known[:-1]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "no such key; docs/pipeline-file.md lists what may stand here"
        elif problem["type"] == "missing":
            known, message = location, "this key is missing"
        lines.append(f"{places.of(location)}: {_dotted(known)}: {message}")
    return list(dict.fromkeys(lines))


def _dotted(location: Location) -> str:
    return " → ".join(str(part) for part in location) or "the file"
