"""Stage: what is written is read back, or an error; nobody else can read it, and it goes away."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.errors import StageError
from stage.folder import Stage, open_stage, purge_orphans

PARTITIONS = 4
ROOT = Path(__file__).resolve().parents[2]

FRAME = pl.DataFrame(
    {
        "i": [1, None, -3],
        "s": ["a", "\U0001f600\n\x00", None],
        "d": pl.Series(["1.50", None, "-0.01"]).cast(pl.Decimal(38, 2)),
        "t": pl.Series([0, None, 1_700_000_000_000_000]).cast(pl.Datetime("us", "UTC")),
        "b": [True, None, False],
        "f": [0.1, None, -1e300],
        "o": pl.Series([None, None, None], dtype=pl.String),
    }
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path, "test", PARTITIONS) as opened:
        yield opened


def numbers(*values: int) -> pl.DataFrame:
    return pl.DataFrame({"n": values}, schema={"n": pl.Int64})


def to(*partitions: int) -> pl.Series:
    return pl.Series(partitions, dtype=pl.Int32)


def staged(stage: Stage, *name: str) -> None:
    with stage.writer(*name) as file:
        file.append(numbers(*range(100)), to(*(n % 3 for n in range(100))))
        file.append(numbers(*range(100, 200)), to(*[1] * 100))


def told(frame: pl.DataFrame | None) -> list[int] | None:
    return None if frame is None else frame["n"].to_list()


def test_all_types_come_back_as_they_were(stage: Stage) -> None:
    with stage.writer("rows", "x") as file:
        file.append(FRAME, to(0, 0, 0))
    back = stage.reader("rows", "x").read([0])
    assert back is not None
    assert_frame_equal(back, FRAME)


def test_rows_come_in_the_order_of_their_chunks_within_a_partition(stage: Stage) -> None:
    with stage.writer("x") as file:
        file.append(numbers(5, 1, 9, 1), to(2, 0, 2, 3))
        file.append(numbers(), to())
        file.append(numbers(8, 4), to(0, 2))
        assert file.rows == 6
    reader = stage.reader("x")
    assert told(reader.read([0])) == [1, 8]
    assert told(reader.read([2])) == [5, 9, 4]
    assert told(reader.read([1])) is None
    assert told(reader.read([3, 1, 0])) == [1, 1, 8]
    assert reader.partitions == [0, 2, 3]
    assert [reader.rows(n) for n in range(PARTITIONS)] == [2, 0, 3, 1]
    assert reader.total_rows == 6


def test_the_order_of_many_rows_is_kept(stage: Stage) -> None:
    with stage.writer("x") as file:
        file.append(numbers(*range(5000)), to(*(n % 3 for n in range(5000))))
    assert told(stage.reader("x").read([1])) == list(range(1, 5000, 3))


def test_some_columns_in_the_order_asked_for(stage: Stage) -> None:
    with stage.writer("x") as file:
        file.append(FRAME, to(1, 0, 1))
    back = stage.reader("x").read([1], ["b", "i"])
    assert back is not None
    assert back.to_dict(as_series=False) == {"b": [True, False], "i": [1, -3]}


def test_chunks_must_have_the_same_columns(stage: Stage) -> None:
    with stage.writer("x") as file:
        file.append(numbers(1), to(0))
        with pytest.raises(ValueError, match="other columns"):
            file.append(pl.DataFrame({"n": ["a"]}), to(0))


def test_names_can_hold_any_character_of_a_datasets_name(stage: Stage) -> None:
    for n, name in enumerate(("core.a/b", "core.a%2Fb", "core.a.b")):
        with stage.writer("rows", name) as file:
            file.append(numbers(n), to(0))
    for n, name in enumerate(("core.a/b", "core.a%2Fb", "core.a.b")):
        assert told(stage.reader("rows", name).read([0])) == [n]


def test_nothing_written_reads_as_empty(stage: Stage) -> None:
    with stage.writer("x"):
        pass
    for name in ("x", "never begun"):
        reader = stage.reader(name)
        assert (reader.total_rows, reader.partitions, reader.rows(0)) == (0, [], 0)
        assert reader.read([0, 1]) is None


def test_a_file_that_was_removed_can_be_written_anew(stage: Stage) -> None:
    staged(stage, "x")
    stage.remove("x")
    stage.remove("x")
    assert stage.reader("x").read([0]) is None
    with stage.writer("x") as file:
        file.append(numbers(7), to(0))
    assert told(stage.reader("x").read([0])) == [7]


def test_a_file_is_written_once(stage: Stage) -> None:
    staged(stage, "x")
    with pytest.raises(StageError, match=r"x\.arrow in .*: File exists"):
        staged(stage, "x")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_an_error(stage: Stage, keep: float) -> None:
    staged(stage, "x")
    path = stage.folder / "x.arrow"
    size = path.stat().st_size
    os.truncate(path, int(size * keep) if isinstance(keep, float) else keep % size)
    with pytest.raises(StageError, match=r"x\.arrow in .*: damaged"):
        stage.reader("x").read([0, 1, 2, 3])


def test_a_flipped_bit_anywhere_is_an_error(stage: Stage) -> None:
    staged(stage, "x")
    path = stage.folder / "x.arrow"
    whole = path.read_bytes()
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(StageError, match="damaged"):
            stage.reader("x").read([0, 1, 2, 3])
    path.write_bytes(whole)
    assert sorted(told(stage.reader("x").read([0, 1, 2, 3])) or ()) == list(range(200))


@pytest.mark.parametrize("damage", [b"", b"[", b"0\n[null, []]", None, -5])
def test_a_damaged_index_is_an_error(stage: Stage, damage: bytes | int | None) -> None:
    staged(stage, "x")
    path = stage.folder / "x.arrow.index"
    if damage is None:
        path.write_bytes(path.read_bytes().replace(b"[2, ", b"[1, ", 1))
    else:
        path.write_bytes(path.read_bytes()[:damage] if isinstance(damage, int) else damage)
    with pytest.raises(StageError, match=r"x\.arrow in .*: damaged"):
        stage.reader("x")


@pytest.mark.parametrize("gone", ["x.arrow", "x.arrow.index"])
def test_a_missing_file_is_an_error_and_not_empty(stage: Stage, gone: str) -> None:
    staged(stage, "x")
    (stage.folder / gone).unlink()
    with pytest.raises(StageError, match=r"x\.arrow in .*: No such file"):
        stage.reader("x").read([0])


def test_a_file_that_was_not_finished_is_an_error(stage: Stage) -> None:
    with pytest.raises(KeyError), stage.writer("x") as file:
        file.append(numbers(1), to(0))
        raise KeyError
    with pytest.raises(StageError, match="No such file"):
        stage.reader("x")


WRITE_UNTIL_FULL = """
import resource, sys
from pathlib import Path
import polars as pl
from core.errors import StageError
from stage.folder import open_stage

rows = pl.DataFrame({"n": range(1000)})
with open_stage(Path(sys.argv[1]), "full", 4) as stage:
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        with stage.writer("x") as file:
            for _ in range(100):
                file.append(rows, pl.repeat(1, 1000, eager=True, dtype=pl.Int32))
    except StageError as error:
        print(error)
    else:
        print("written")
"""


@pytest.mark.parametrize(
    ("limit", "said"),
    [(100_000, "File too large"), (0, "File too large"), (850_000, "written")],
)
def test_a_full_disk_is_a_clear_error(tmp_path: Path, limit: int, said: str) -> None:
    ended = _python(WRITE_UNTIL_FULL, tmp_path, limit)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert said in ended.stdout
    if said != "written":
        assert ended.stdout.startswith("stage: x.arrow in ")
    assert list(tmp_path.iterdir()) == []


def _python(code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_only_the_owner_can_read_the_stage(tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    before = os.umask(0)
    try:
        with open_stage(root, "test", PARTITIONS) as stage:
            staged(stage, "x")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
            modes["root"] = stat.S_IMODE(root.stat().st_mode)
    finally:
        os.umask(before)
    assert modes == {
        "root": 0o700,
        "stage-test": 0o700,
        "stage-test.lock": 0o600,
        "x.arrow": 0o600,
        "x.arrow.index": 0o600,
    }


@pytest.mark.parametrize("error", [None, KeyError, StageError("x"), KeyboardInterrupt, SystemExit])
def test_the_stage_is_removed_at_the_end_also_of_an_error(tmp_path: Path, error: Any) -> None:
    try:
        with open_stage(tmp_path, "test", PARTITIONS) as stage:
            staged(stage, "x")
            assert (stage.folder / "x.arrow").exists()
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error or type(raised) is error
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(StageError, match=r"can't make .*stage-test: "),
            open_stage(root, "test", PARTITIONS),
        ):
            pass


LIVE = """
import sys, time
from pathlib import Path
from stage.folder import open_stage

with open_stage(Path(sys.argv[1]), sys.argv[2], 4) as stage:
    (stage.folder / "secret").write_text("x")
    print("open", flush=True)
    time.sleep(60)
"""


def _living(root: Path, run: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LIVE, str(root), run]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_stages_of_dead_runs_are_purged_and_those_of_living_runs_are_not(tmp_path: Path) -> None:
    with _living(tmp_path, "living") as living, _living(tmp_path, "dead") as dead:
        try:
            dead.send_signal(signal.SIGKILL)
            dead.wait()
            assert (tmp_path / "stage-dead" / "secret").exists()
            (tmp_path / "stage-lockless").mkdir()
            (tmp_path / "stage-lockless" / "secret").touch()
            (tmp_path / "stage-folderless.lock").touch()
            (tmp_path / "other").mkdir()
            with open_stage(tmp_path, "mine", PARTITIONS):
                there = sorted(path.name for path in tmp_path.iterdir())
                assert there == [
                    "other",
                    "stage-living",
                    "stage-living.lock",
                    "stage-mine",
                    "stage-mine.lock",
                ]
                assert (tmp_path / "stage-living" / "secret").exists()
                assert purge_orphans(tmp_path) == []
            assert (tmp_path / "stage-living" / "secret").exists()
        finally:
            living.kill()
            dead.kill()
    assert purge_orphans(tmp_path) == [tmp_path / "stage-living"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_a_terminated_run_removes_its_stage_no_later_than_the_next_one(tmp_path: Path) -> None:
    with _living(tmp_path, "first") as first:
        first.terminate()
    with open_stage(tmp_path, "second", PARTITIONS):
        assert not (tmp_path / "stage-first").exists()
    assert list(tmp_path.iterdir()) == []
