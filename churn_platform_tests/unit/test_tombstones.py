"""Tombstones: keyed hashes tell who was erased, in Python and in DuckDB, and nobody without the key."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import duckdb
import pytest

from churn_platform import erasure_requests, tombstones
from churn_platform.erasure_requests import ErasureRequest
from churn_platform.faults import Fault
from churn_platform.settings import Settings, SettingsError
from churn_platform.tombstones import FILE, Tombstones, TombstonesError

CUSTOMERS = ["7", "Zoë \U0001f600", "x" * 200, "it's"]


def test_who_was_erased_is_known_by_a_keyed_hash(tmp_path: Path) -> None:
    found = Tombstones(tmp_path / "erased")
    assert found.hashes == frozenset()
    hashes = found.add(CUSTOMERS, "2024-03-01")
    kept = json.loads((tmp_path / "erased" / FILE).read_text())
    assert kept["erased"] == dict.fromkeys(hashes, "2024-03-01")
    assert hashes[0] == hashlib.sha256((kept["secret"] + "7").encode()).hexdigest()
    assert hashes[0] != hashlib.sha256(b"7").hexdigest()
    again = Tombstones(tmp_path / "erased")
    assert again.among([*CUSTOMERS, "8"]) == set(CUSTOMERS)
    assert stat.S_IMODE((tmp_path / "erased" / FILE).stat().st_mode) == 0o600
    assert not any(customer in (tmp_path / "erased" / FILE).read_text() for customer in CUSTOMERS[1:])


def test_the_day_stays_that_of_the_first_erasure(tmp_path: Path) -> None:
    Tombstones(tmp_path).add(["a"], "2024-03-01")
    Tombstones(tmp_path).add(["b", "a"], "2024-04-01")
    assert sorted(json.loads((tmp_path / FILE).read_text())["erased"].values()) == ["2024-03-01", "2024-04-01"]


def test_two_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    one, other = Tombstones(tmp_path), Tombstones(tmp_path)
    assert one.hashes == other.hashes == frozenset()  # both have looked before either adds
    one.add(["a"], "2024-03-01")
    other.add(["b"], "2024-03-01")
    assert Tombstones(tmp_path).among("abc") == {"a", "b"}


def test_duckdb_hashes_alike(tmp_path: Path) -> None:
    found = Tombstones(tmp_path)
    hashes = found.add(CUSTOMERS, "2024-03-01")
    connection = duckdb.connect()
    connection.execute("CREATE TABLE customers AS SELECT unnest(?::VARCHAR[]) AS name", [CUSTOMERS])
    asked = connection.execute(f"SELECT {found.sql('name')} FROM customers").fetchall()
    assert asked == [(one,) for one in hashes]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"secret": 1, "erased": {}}'])
def test_a_damaged_file_is_told_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    for ask in (lambda: Tombstones(tmp_path).hashes, lambda: Tombstones(tmp_path).add(["a"], "2024-03-01")):
        with pytest.raises(TombstonesError, match=f"{FILE} cannot be read: .*: restore it from its copy"):
            ask()
    assert (tmp_path / FILE).read_bytes() == content


def test_tombstones_that_receipts_name_have_to_be_there(tmp_path: Path) -> None:
    hashes = Tombstones(tmp_path / "here").add(["a", "b"], "2024-03-01")
    tombstones.require(tmp_path / "here", hashes)
    Tombstones(tmp_path / "new").add(["a", "b"], "2024-03-01")
    with pytest.raises(Fault, match=r"\(CHURN_TOMBSTONES\) lacks 2 of the customers who were erased"):
        tombstones.require(tmp_path / "new", hashes)  # made anew, with another secret


@pytest.mark.parametrize(
    ("reason", "customers", "named"),
    [
        ("asked by letter of 3 June", ["3"], False),
        ("asked by letter of 3 June", ["letter"], True),
        ("C-0001 asked", ["C-0001"], True),
        ("C-00012 asked", ["C-0001"], False),
        ("asked by O'Brien, Pat", ["O'Brien, Pat"], True),
        ("number 100234 asked", ["100234"], True),
        ("asked", [""], False),
    ],
)
def test_a_reason_that_names_somebody_is_known(reason: str, customers: list[str], named: bool) -> None:
    assert erasure_requests.names_any(reason, customers) is named


def test_a_request_is_its_owners_alone_and_gone_when_it_is_done(tmp_path: Path) -> None:
    folder, name = tmp_path / ".erasures", erasure_requests.new_name()
    asked = ErasureRequest(("a", "b"), "asked", "a test", "2024-03-01T00:00:00+00:00")
    erasure_requests.write(folder, name, asked)
    assert stat.S_IMODE((folder / f"{name}.json").stat().st_mode) == 0o600
    assert erasure_requests.read(folder, name) == asked
    assert erasure_requests.waiting(folder) == (name,)
    erasure_requests.remove(folder, name)
    assert erasure_requests.waiting(folder) == ()
    for wrong in (name, "../../api_token", ""):
        with pytest.raises(Fault):
            erasure_requests.read(folder, wrong)


def test_tombstones_lie_outside_of_the_home(tmp_path: Path) -> None:
    assert Settings(home=tmp_path / "home").tombstones_folder == tmp_path / "home.erased"
    with pytest.raises(SettingsError, match="CHURN_TOMBSTONES lies in CHURN_HOME, where backups would pack it"):
        Settings(home=tmp_path / "home", tombstones=tmp_path / "home" / "erased")
