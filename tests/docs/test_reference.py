"""The reference is what the code says, and what it tells people to write is accepted."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from core.errors import PrefetchError
from core.pipeline_file import load_pipeline, read_yaml
from core.records import RowCounts
from core.settings import Settings
from flows import reference
from flows.report import Report
from flows.request import Request
from stage.quarantine_file import Group

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*/pipeline.yaml"))
REASON = re.compile(
    r'"((?:not|no|user_id|inexact|ambiguous|decimal|unusable|too|nul|unknown|integer)_[a-z0-9_]+|'
    r'duplicate|unreadable|naive_timestamp)"'
)
UNFIT = re.compile(r'Unfit\("([a-z0-9_]+)"')
FILTER = re.compile(r'filtered\["([a-z_]+)"\]')
FINDING = re.compile(r'(?:return |append\(|= |else |\(|, )"([a-z_]{3,})"')
VARIABLE = re.compile(r"\$\{(\w+)\}")
REPORTED = {
    "source": ("rows", "as_of", "consistency", "seconds"),
    "dataset": [
        *(f.name for f in dataclasses.fields(RowCounts) if f.name != "quarantine"),
        "quarantined",
    ],
    "quarantine": [*dataclasses.asdict(Group("row", "a.b", "", "", 0, 0)), "shown"],
}
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/pipeline.schema.json").read_text())
PAGE = (ROOT / "docs/pipeline-file.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def environment(text: str) -> dict[str, str]:
    """A value for every variable that a pipeline file names."""
    return dict.fromkeys(VARIABLE.findall(text), "mongodb://nowhere/none")


def complaints(schema: dict[str, Any], file: Path) -> list[str]:
    raw, _, problems = read_yaml(file, environment(file.read_text()))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(raw)
    return [*problems, *(f"{list(error.path)}: {error.message}" for error in errors)]


@pytest.mark.parametrize("page", reference.pages())
def test_generated_files_are_current(page: str) -> None:
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == reference.pages()[page], "run `python -m flows.reference`"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    for field in Settings.model_fields.values():
        assert f"`{field.validation_alias}`" in page
        assert field.description


def test_every_setting_stands_in_the_example_environment() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.lstrip("# ").partition("=")[0] for line in lines if "=" in line}
    assert {str(field.validation_alias) for field in Settings.model_fields.values()} <= named


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_examples_load_and_fit_the_schema(file: Path) -> None:
    assert load_pipeline(file, environment(file.read_text())).datasets
    assert complaints(SCHEMA, file) == []


def test_schema_refuses_what_the_models_refuse(tmp_path: Path) -> None:
    text = EXAMPLES[0].read_text()
    wrong = tmp_path / "pipeline.yaml"
    for good, bad in (("into: .", "in_to: ."), (": integer,", ": int,"), ("- name", "- 1")):
        if good in text:
            wrong.write_text(text.replace(good, bad, 1))
            assert complaints(SCHEMA, wrong)


def test_every_key_of_the_page_has_an_example() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|.*\| see above \|", PAGE, re.MULTILINE)
    entries = ("mapping: name to [", "list of: [", "[")
    assert [key for key, takes in rows if not takes.startswith(entries)] == []
    assert len(rows) < 15


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[1].strip())
def test_every_snippet_of_the_page_fits_the_schema(block: str, tmp_path: Path) -> None:
    snippet = tmp_path / "pipeline.yaml"
    snippet.write_text(block)
    assert complaints({**SCHEMA, "required": []}, snippet) == []


def test_the_whole_example_of_the_page_loads(tmp_path: Path) -> None:
    whole = [block for block in BLOCKS if block.startswith("profile:")]
    assert len(whole) == 1
    file = tmp_path / "pipeline.yaml"
    file.write_text(whole[0])
    assert load_pipeline(file, environment(whole[0])).datasets


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_figure_and_reason_of_the_report_is_explained() -> None:
    page = (ROOT / "docs/report.md").read_text()
    code = "".join(file.read_text() for file in (ROOT / "transforms").glob("*.py"))
    judges = "".join((ROOT / f"store/{n}.py").read_text() for n in ("suspects", "lanes", "load"))
    reasons = {*REASON.findall(code), *UNFIT.findall(code), *FILTER.findall(code)}
    findings = set(FINDING.findall(judges)) - {"user_id"}
    assert len(reasons) > 45 and {"ttl", "damaged", "missing", "wrong_type"} <= findings
    report = Report("bank", "1", Request("nightly", Path("pipeline.yaml")))
    parts = [report.as_dict(), REPORTED["source"], REPORTED["dataset"], REPORTED["quarantine"]]
    named = {*reasons, *findings, *(figure for part in parts for figure in part)}
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []


def test_every_exit_code_is_explained() -> None:
    page = (ROOT / "docs/report.md").read_text()
    codes = {each.exit_code for each in all_errors(PrefetchError)}
    assert codes == set(range(1, 10))
    assert [code for code in codes if f"\n| {code} | " not in page] == []


def all_errors(root: type[PrefetchError]) -> set[type[PrefetchError]]:
    return {root}.union(*(all_errors(each) for each in root.__subclasses__()))
