"""Proofs of kept rows: the root by the book, and every kind of change that is told."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn_platform.lake import Lake
from churn_platform.modelling.recipe import KeptRows
from churn_platform.tables import proofs
from churn_platform_tests.kept_rows import erase, put, rewrite

NAME = "rows"
ROWS = pa.table(
    {
        "user_id": ["a;1", "", "é\n", None, "e"],
        "fee": pa.array([0.1, -0.0, None, float("inf"), 2.0**-1074]),
        "count": pa.array([-3, 0, None, 2**62, 5], pa.int64()),
        "yes": pa.array([True, False, None, True, True]),
        "day": pa.array([date(2024, 1, 31), date(1, 1, 1), None, date(2024, 2, 29), date(2024, 1, 1)]),
    }
)
KINDS = [["user_id", "text"], ["fee", "number"], ["count", "integer"], ["yes", "boolean"], ["day", "date"]]


@pytest.fixture
def kept(lake: Lake) -> KeptRows:
    return proofs.keep(lake, NAME, ibis.memtable(ROWS))


@pytest.fixture
def path(lake: Lake, kept: KeptRows) -> Path:
    return lake.addressed(NAME, kept.sha256)


def text_of(value: Any) -> str:
    """A value as the module's docstring says, by other means."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{struct.unpack('>Q', struct.pack('>d', value))[0]:X}"
    if isinstance(value, str):
        return f"{len(value.encode())}:{value}"
    return str(value)


def proof_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path.with_suffix(proofs.ENDING)).to_pylist()
    return rows


def test_a_proof_is_what_its_description_says(kept: KeptRows, path: Path) -> None:
    root = hashlib.sha256(json.dumps(KINDS, separators=(",", ":")).encode())
    for position, (row, proof) in enumerate(zip(ROWS.to_pylist(), proof_of(path), strict=True)):
        text = proof["salt"].hex() + ";".join(map(text_of, row.values()))
        assert proof == {"position": position, "salt": proof["salt"], "sha256": hashlib.sha256(text.encode()).digest()}
        root.update(proof["sha256"])
    assert kept == KeptRows(path.stem, 5, root.hexdigest())


def test_every_row_has_a_salt_of_its_own(lake: Lake, kept: KeptRows, path: Path, tmp_path: Path) -> None:
    salts = {proof["salt"] for proof in proof_of(path)}
    assert len(salts) == 5
    assert {len(salt) for salt in salts} == {proofs.SALT}
    elsewhere = proofs.keep(Lake(tmp_path / "other", lake.contract), NAME, ibis.memtable(ROWS))
    assert elsewhere.sha256 == kept.sha256
    assert elsewhere.root != kept.root


def test_the_same_rows_keep_their_proof(lake: Lake, kept: KeptRows) -> None:
    assert proofs.keep(lake, NAME, ibis.memtable(ROWS)) == kept
    assert proofs.prove(lake, NAME, kept.sha256) == kept
    assert proofs.check(lake, NAME, kept) == 0


def test_no_rows_have_a_proof_too(lake: Lake) -> None:
    kept = proofs.keep(lake, NAME, ibis.memtable(ROWS[:0]))
    assert kept.rows == 0
    assert proofs.check(lake, NAME, kept) == 0


def test_how_parquet_holds_the_values_does_not_matter(lake: Lake, kept: KeptRows, path: Path) -> None:
    rewrite(path, lambda table: table, compression="gzip", row_group_size=2, use_dictionary=False)
    rewrite(path.with_suffix(proofs.ENDING), lambda table: table.take([4, 2, 0, 1, 3]), compression="snappy")
    assert proofs.check(lake, NAME, kept) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("user_id", "a;2"), ("fee", None), ("fee", 0.0), ("count", 1), ("yes", True), ("day", date(2024, 2, 1))],
)
def test_a_changed_value_is_told(column: str, value: object, lake: Lake, kept: KeptRows, path: Path) -> None:
    put(path, 1, column, value)
    wanted = rf"^{path}: row 2 is the first of 1 row that is not as it was kept: restore it from a backup$"
    with pytest.raises(proofs.ProofError, match=wanted):
        proofs.check(lake, NAME, kept)
    with pytest.raises(proofs.ProofError, match="row 2 is the first"):
        proofs.prove(lake, NAME, kept.sha256)


def renamed(table: pa.Table) -> pa.Table:
    return table.rename_columns(["customer", *table.column_names[1:]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table[:4], "it has 4 rows, and its proof is of 5"),
        (lambda table: pa.concat_tables([table, table[:1]]), "it has 6 rows, and its proof is of 5"),
        (lambda table: table.take([0, 1, 2, 4, 3]), "row 4 is the first of 2 rows that are not"),
        (lambda table: table.drop_columns(["yes"]), "row 1 is the first of 5 rows that are not"),
        (renamed, "its root is .* the columns were changed"),
    ],
)
def test_changed_rows_are_told(
    change: Callable[[pa.Table], pa.Table], told: str, lake: Lake, kept: KeptRows, path: Path
) -> None:
    rewrite(path, change)
    with pytest.raises(proofs.ProofError, match=f"^{path}: {told}"):
        proofs.check(lake, NAME, kept)


def test_a_proof_that_was_made_again_is_told(lake: Lake, kept: KeptRows, path: Path) -> None:
    path.with_suffix(proofs.ENDING).unlink()
    assert proofs.prove(lake, NAME, kept.sha256).root != kept.root  # salts are random
    with pytest.raises(proofs.ProofError, match=r"its root is .* the proof beside it or the columns were changed"):
        proofs.check(lake, NAME, kept)


def test_rows_that_were_changed_before_they_had_a_proof_get_none(lake: Lake, kept: KeptRows, path: Path) -> None:
    put(path, 1, "count", 1)
    path.with_suffix(proofs.ENDING).unlink()
    with pytest.raises(proofs.ProofError, match="was changed, and has no proof beside it"):
        proofs.prove(lake, NAME, kept.sha256)


@pytest.mark.parametrize(("column", "value"), [("salt", b"0" * 16), ("sha256", b"0" * 32)])
def test_a_changed_proof_is_told(column: str, value: bytes, lake: Lake, kept: KeptRows, path: Path) -> None:
    put(path.with_suffix(proofs.ENDING), 2, column, value)
    with pytest.raises(proofs.ProofError, match="row 3 is the first of 1 row"):
        proofs.check(lake, NAME, kept)


@pytest.mark.parametrize("ending", [".parquet", proofs.ENDING])
def test_files_that_are_gone_or_cut_are_told(ending: str, lake: Lake, kept: KeptRows, path: Path) -> None:
    file = path.with_suffix(ending)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(proofs.ProofError, match=r"or its proof cannot be read: .*: restore both files from a backup"):
        proofs.check(lake, NAME, kept)
    file.unlink()
    with pytest.raises(proofs.ProofError, match=f"^{file} is not there: restore it from a backup$"):
        proofs.check(lake, NAME, kept)


def test_a_proof_of_another_shape_is_told(lake: Lake, kept: KeptRows, path: Path) -> None:
    rewrite(path.with_suffix(proofs.ENDING), lambda table: table.drop_columns(["salt"]))
    with pytest.raises(proofs.ProofError, match="or its proof cannot be read"):
        proofs.check(lake, NAME, kept)


def test_erased_rows_are_counted_and_the_others_proved(lake: Lake, kept: KeptRows, path: Path) -> None:
    erase(path, 3)
    assert proofs.check(lake, NAME, kept) == 1
    erase(path, 0)
    assert proofs.check(lake, NAME, kept) == 2
    assert [proof["salt"] is None for proof in proof_of(path)] == [True, False, False, True, False]
    assert proofs.prove(lake, NAME, kept.sha256) == kept
    put(path, 2, "count", 6)
    with pytest.raises(proofs.ProofError, match="row 3 is the first of 1 row"):
        proofs.check(lake, NAME, kept)


def test_an_erased_row_that_comes_back_is_told(lake: Lake, kept: KeptRows, path: Path) -> None:
    rows = path.read_bytes()
    erase(path, 4)
    path.write_bytes(rows)
    with pytest.raises(proofs.ProofError, match="it has 5 rows, and its proof is of 4"):
        proofs.check(lake, NAME, kept)


def test_all_rows_may_be_erased(lake: Lake, kept: KeptRows, path: Path) -> None:
    for _ in range(5):
        erase(path, 0)
    assert proofs.check(lake, NAME, kept) == 5


def test_a_type_without_a_text_is_refused(lake: Lake) -> None:
    rows = ibis.memtable(pa.table({"at": pa.array([[1]])}))
    with pytest.raises(proofs.ProofError, match="column at is of the type array<int64>, of which no proof is made"):
        proofs.keep(lake, NAME, rows)


def test_customers_are_erased_by_their_key(lake: Lake, kept: KeptRows, path: Path) -> None:
    before = proof_of(path)
    assert proofs.erase(lake, NAME, kept.sha256, "user_id", ["e", "a;1", "nobody"]) == 2
    assert pq.read_table(path)["user_id"].to_pylist() == ["", "é\n", None]
    assert proofs.check(lake, NAME, kept) == 2
    salts = [proof["salt"] for proof in proof_of(path)]
    assert salts == [None, *(proof["salt"] for proof in before[1:4]), None]
    assert proofs.erase(lake, NAME, kept.sha256, "user_id", ["é\n"]) == 1
    assert proofs.erase(lake, NAME, kept.sha256, "user_id", ["é\n", "e"]) == 0
    assert proofs.check(lake, NAME, kept) == 3


@pytest.mark.parametrize("moved", range(2))
def test_an_erasure_that_is_killed_between_two_files_is_finished(
    lake: Lake, kept: KeptRows, path: Path, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies once so many of the files, written anew, have their names."""
    replace = Path.replace
    moves: list[Path] = []

    def dying(source: Path, target: Path) -> Path:
        if source.suffix == ".erasing":
            if len(moves) == moved:
                raise KeyboardInterrupt
            moves.append(source)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        proofs.erase(lake, NAME, kept.sha256, "user_id", ["e"])
    monkeypatch.setattr(Path, "replace", replace)
    proofs.erase(lake, NAME, kept.sha256, "user_id", ["e"])
    assert proofs.check(lake, NAME, kept) == 1
    assert "e" not in pq.read_table(path)["user_id"].to_pylist()
    assert sorted(file.suffix for file in path.parent.iterdir() if file.is_file()) == ["", ".parquet", ".parquet"]


def test_rows_that_come_back_do_not_cost_another_row_its_salt(lake: Lake, kept: KeptRows, path: Path) -> None:
    rows = path.read_bytes()
    proofs.erase(lake, NAME, kept.sha256, "user_id", ["é\n"])
    path.write_bytes(rows)
    with pytest.raises(proofs.ProofError, match="it has 5 rows, and its proof is of 4"):
        proofs.erase(lake, NAME, kept.sha256, "user_id", ["é\n"])
    assert [proof["salt"] is None for proof in proof_of(path)] == [False, False, True, False, False]


def test_who_gathers_erased_rows_again_gets_those_that_are_left(lake: Lake, kept: KeptRows, path: Path) -> None:
    proofs.erase(lake, NAME, kept.sha256, "user_id", ["e"])
    assert proofs.keep(lake, NAME, ibis.memtable(ROWS)) == kept
    assert "e" not in pq.read_table(path)["user_id"].to_pylist()
    assert proofs.check(lake, NAME, kept) == 1
