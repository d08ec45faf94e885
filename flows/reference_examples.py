"""Examples for the reference: by entry and key, how a pipeline file says it somewhere.

They are taken from pipeline files and snippets that tests load, so that none is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.emitter import Emitter
from yaml.representer import SafeRepresenter
from yaml.resolver import BaseResolver
from yaml.serializer import Serializer

Schema = dict[str, Any]
Examples = dict[tuple[str, str], str]

_LONGEST = 44
_SNIPPET = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def snippets(page: Path) -> list[str]:
    """The YAML blocks of a page."""
    return _SNIPPET.findall(page.read_text(encoding="utf-8"))


def examples(whole: Schema, texts: Iterable[str]) -> Examples:
    """By entry and key the first value that is short enough, as ``key: value``.

    Args:
        whole: the JSON Schema of a pipeline file, short forms left out.
        texts: YAML of whole files or parts of them.
    """
    found: Examples = {}
    for text in texts:
        raw: Any = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts only
        for entry, key, value in _keys(raw, whole, "", whole["$defs"]):
            told = _told(key, value)
            if told is not None:
                found.setdefault((entry, key), told)
    return found


def _keys(
    node: Any, schema: Schema, name: str, definitions: Schema
) -> Iterator[tuple[str, str, Any]]:
    """Every key of an entry and of the entries in it, with the entry's name."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        inner = schema["properties"].get(key)
        if inner is None:
            continue
        yield name, key, value
        for entry in _entries(inner):
            many = value if isinstance(value, list) else [value]
            if "additionalProperties" in _plain(inner):
                many = list(value.values()) if isinstance(value, dict) else []
            for each in many:
                yield from _keys(each, definitions[entry], entry, definitions)


def _entries(node: Schema) -> set[str]:
    """The names of the entries that a key holds, in whatever it holds them."""
    return set(re.findall(r"#/\$defs/(\w+)", str(node)))


def _plain(node: Schema) -> Schema:
    """A key's own schema, where it may also be left out."""
    options = [option for option in node.get("anyOf", [node]) if option != {"type": "null"}]
    return next((option for option in options if "additionalProperties" in option), options[0])


def _told(key: str, value: Any) -> str | None:
    if value in ("", None):
        return None
    text = str(yaml.dump({key: value}, Dumper=_AsWritten, default_flow_style=True, width=1000))
    text = text.strip()[1:-1]
    return text if len(text) <= _LONGEST else None


class _AsWritten(Emitter, Serializer, SafeRepresenter, BaseResolver):
    """Writes texts without quotes where they need none: ``true`` was not quoted either."""

    def __init__(self, stream: Any, **options: Any) -> None:
        known = {name: options[name] for name in ("width", "allow_unicode") if name in options}
        Emitter.__init__(self, stream, **known)
        Serializer.__init__(self)
        SafeRepresenter.__init__(self, default_flow_style=True, sort_keys=False)
        BaseResolver.__init__(self)
