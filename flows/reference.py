"""Writes the reference: docs/pipeline-file.md, docs/pipeline.schema.json and docs/settings.md.

``python -m flows.reference`` writes them, from the models' own descriptions; a test holds them
current. What needs more words than a description stands in docs/pipeline-file.intro.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from core.pipeline import Pipeline
from core.settings import Settings
from core.values import KINDS
from flows.reference_examples import Examples, examples, snippets

Schema = dict[str, Any]

DOCS = Path(__file__).parent.parent / "docs"
INTRODUCTION = DOCS / "pipeline-file.intro.md"

_KINDS = [kind for kind in KINDS if kind != "array"]
_TYPE: Schema = {"type": "string", "enum": [*_KINDS, *(f"{kind}[]" for kind in _KINDS)]}
_NAME: Schema = {"type": "string"}
_NAMES: Schema = {"type": "array", "items": _NAME}
_NULL: Schema = {"type": "null"}
_SHORT: dict[str, tuple[str, Schema]] = {
    "Column": ("type", _TYPE),
    "FieldEntry": ("column", _NAME),
    "Survivorship": ("prefer", _NAME),
    "Transform": ("function", _NAME),
}
"""Entries that a plain text may stand for, and the key that the text is then."""

_TITLES = {
    "Profile": "`profile`",
    "UserId": "`profile` → `user_id`",
    "Source": "`sources` → a source",
    "Link": "`links` → a link",
    "Dataset": "`datasets` → a dataset",
    "Column": "`columns` → a column",
    "FieldEntry": "`fields` → a field",
    "Lookup": "`lookups` → a lookup",
    "UserLink": "`user_id` of a dataset, by links",
    "Transform": "`transform`",
    "Survivorship": "`survivorship` → a field",
    "Guard": "`guard`",
    "Index": "`index`",
    "IndexField": "`index` → `fields` → a field",
    "IndexAttrs": "`index` → `fields` → `attrs`",
}


def schema() -> Schema:
    """The JSON Schema of a pipeline file, with the short forms that the models accept."""
    made: Schema = Pipeline.model_json_schema(by_alias=True)
    definitions = made["$defs"]
    for entry in [made, *definitions.values()]:
        entry["properties"] = {k: _with_short_forms(n) for k, n in entry["properties"].items()}
    properties = definitions["Dataset"]["properties"]
    for key in ("columns", "fields"):
        properties[key] = _or_listed(properties[key])
    definitions["Column"]["properties"]["type"]["anyOf"] = [_TYPE, _NULL]
    title = "A pipeline file of profile-prefetch"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}


def _with_short_forms(node: Schema) -> Schema:
    """A key's schema that also takes a single name for a list of names, a text for an entry."""
    if node.get("items") == _NAME:
        kept = {k: v for k, v in node.items() if k not in ("type", "items")}
        return {**kept, "anyOf": [_NAME, _NAMES]}
    if "anyOf" in node:
        return {**node, "anyOf": [option for given in node["anyOf"] for option in _options(given)]}
    entry = node.get("additionalProperties")
    if isinstance(entry, dict) and len(_options(entry)) > 1:
        return {**node, "additionalProperties": {"anyOf": _options(entry)}}
    return node


def _options(node: Schema) -> list[Schema]:
    name = _definition(node)
    return [node, _SHORT[name][1]] if name in _SHORT else [node]


def _definition(node: Schema) -> str:
    return str(node.get("$ref", "")).rpartition("/")[2]


def _or_listed(node: Schema) -> Schema:
    """A mapping's schema that also takes a list of names, and entries that are left empty."""
    entries = {"anyOf": [*node["additionalProperties"]["anyOf"], _NULL]}
    options = [{"type": "object", "additionalProperties": entries}, _NAMES]
    return {"description": node["description"], "title": node["title"], "anyOf": options}


def pipeline_file() -> str:
    """docs/pipeline-file.md: the introduction, then every key of every entry."""
    whole = schema()
    definitions = whole["$defs"]
    told = examples_of_keys()
    lines = [
        INTRODUCTION.read_text(encoding="utf-8").rstrip(),
        *("", "## Every key", "", "Written from the code by `python -m flows.reference`."),
        *("", "### The file", "", *_keys("", whole, definitions, told)),
    ]
    for name, title in _TITLES.items():
        entry = definitions[name]
        lines += ["", f"### {title}", "", entry["description"], ""]
        if name in _SHORT:
            lines += [f"A plain text in its place is short for `{_SHORT[name][0]}`.", ""]
        lines += _keys(name, entry, definitions, told)
    return "\n".join(lines) + "\n"


def examples_of_keys() -> Examples:
    """An example of each key, from the introduction's snippets and the examples' files."""
    files = sorted((DOCS.parent / "examples").glob("*/pipeline.yaml"))
    texts = [*snippets(INTRODUCTION), *(file.read_text(encoding="utf-8") for file in files)]
    return examples(Pipeline.model_json_schema(by_alias=True), texts)


def _keys(name: str, entry: Schema, definitions: Schema, told: Examples) -> Iterator[str]:
    needed = entry.get("required", [])
    yield "| key | what it takes | default | example | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for key, node in entry["properties"].items():
        default = "**needed**" if key in needed else _default(node)
        meaning = node.get("description") or definitions[_held(node)]["description"]
        example = f"`{told[name, key]}`" if (name, key) in told else "see above"
        yield f"| `{key}` | {_takes(node)} | {default} | {example} | {meaning} |"


def _default(node: Schema) -> str:
    value = node.get("default")
    if value in (None, []):
        return "–"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _held(node: Schema) -> str:
    """The name of the entry that a key holds, or of those in the mapping that it holds."""
    inner = node.get("additionalProperties", node)
    return _definition(inner.get("anyOf", [inner])[0])


def _takes(node: Schema) -> str:
    """In words, what a key takes."""
    if "$ref" in node:
        return _link_to(_definition(node))
    if "anyOf" in node:
        told = [_takes(option) for option in node["anyOf"] if option != _NULL]
        return " or ".join(dict.fromkeys(told))
    if "enum" in node:
        return "a type" if node == _TYPE else ", ".join(f"`{value}`" for value in node["enum"])
    if node["type"] == "object":
        entries = node["additionalProperties"]
        return f"mapping: name to {_takes(entries) if isinstance(entries, dict) else 'value'}"
    if _definition(node.get("items", {})):
        return f"list of: {_takes(node['items'])}"
    words = {"string": "text", "integer": "whole number", "array": "list of texts"}
    return words.get(node["type"], str(node["type"])) + _bounds(node)


def _bounds(node: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    told = [f"{sign} {node[key]:g}" for key, sign in signs.items() if key in node]
    return f" ({', '.join(told)})" if told else ""


def _link_to(name: str) -> str:
    anchor = "".join(sign for sign in _TITLES[name].lower() if sign.isalnum() or sign in " -_")
    return f"[{name}](#{anchor.replace(' ', '-')})"


def settings() -> str:
    """docs/settings.md: every environment variable, with default and meaning."""
    lines = [
        "# Settings\n\nAll settings are environment variables. One that is empty counts as not",
        "set. Passwords belong here, never into the pipeline file. Written from the code by",
        "`python -m flows.reference`.\n",
        "A secret may also be in a file: `REDIS_URL_FILE=/run/secrets/redis_url` in place of",
        "`REDIS_URL`. So it is for all URLs and keys here, and for every `${NAME}` of the",
        "pipeline file. [Secrets](your-databases.md#9-secrets) tells more.\n",
        "| variable | default | meaning |\n| --- | --- | --- |",
        *(
            f"| `{field.validation_alias}` | {_setting(field)} | {field.description} |"
            for field in Settings.model_fields.values()
        ),
        "\nThe pipeline file adds variables of its own: every `${NAME}` in it. The `prefetch`",
        "command takes its `--config` from `PREFETCH_CONFIG` where the option is not given.",
        "`prefetch automations apply` has alerts sent to `PREFETCH_ALERT_BLOCK` (a Prefect block,",
        "as in `slack-webhook/ops`) or to `PREFETCH_ALERT_URL` (an address: keep it secret).",
    ]
    return "\n".join(lines) + "\n"


def _setting(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    # a factory's value depends on the machine: the description tells how
    return "by machine" if field.default_factory is not None else f"`{field.default}`"


def pages() -> dict[str, str]:
    """Every generated file of docs/ by name."""
    described = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    written = {"pipeline-file.md": pipeline_file(), "settings.md": settings()}
    return {**written, "pipeline.schema.json": described}


if __name__ == "__main__":
    for page, text in pages().items():
        (DOCS / page).write_text(text, encoding="utf-8")
