"""Erased texts: which of a home's files lose their mentions, how, and what nobody touches."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from churn_platform.erasure import texts
from churn_platform.erasure.mentions import Mentions
from churn_platform.faults import PlaceError
from churn_platform.files.owners import mark

ID = "7590-VHVEG"
MENTIONS = Mentions([ID, "7"], "user_id")


def put(home: Path, name: str, data: bytes) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def contents(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


TEXTS = {
    "reports/data_docs/2024-01/users.html": (f"<div>{ID}</div>".encode(), b"<div>erased</div>"),
    "lake/drop/state/2024-01.json": (json.dumps({"notes": [ID, 7, "'7'"]}).encode(), b'["erased", 7, "\'erased\'"]'),
    "mlflow/artifacts/1/artifacts/card.md": (f"| {ID} |\n".encode(), b"| erased |\n"),
    "alerts/1.json": (f'{{"text": "line 2: \'{ID}\'"}}'.encode(), b"line 2: 'erased'"),
    "reports/odd.html": (b"\xff " + ID.encode(), b"\xff erased"),
}
LOGS = (
    "logs/serving.log",
    "logs/serving.log.2",
    "dagster/storage/1/compute_logs/a.err",
    "dagster/x/compute_logs/b.out",
)
OTHERS = (
    *("receipts/000001.json", "lake/users/2024-01.parquet", "serving/bundles/1/golden.json", "api_token"),
    *("mlflow/artifacts/1/bundle/golden.json", "mlflow/artifacts/models/1/artifacts/MLmodel", "dagster/dagster.yaml"),
    *("exports/scores.csv", "serving/prediction_log/1.jsonl", "online_store.db"),
)


def test_texts_lose_their_mentions_and_nothing_else_changes(tmp_path: Path) -> None:
    for name, (data, _) in TEXTS.items():
        put(tmp_path, name, data).chmod(0o640)
    for name in LOGS:
        put(tmp_path, name, f"one {ID} two '7' 7 \u00e9\n".encode() * 3 + f"half {ID}".encode())
    for name in OTHERS:
        put(tmp_path, name, ID.encode())
    put(tmp_path, "reports/binary", b"\0" + ID.encode())
    put(tmp_path, "reports/sound.html", b"nobody, 7")
    inodes = {name: (tmp_path / name).stat().st_ino for name in (*LOGS, *OTHERS, "reports/sound.html")}

    found = texts.erase(tmp_path, MENTIONS)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == sorted([*TEXTS, *LOGS])
    now = contents(tmp_path)
    for name, (_, without) in TEXTS.items():
        assert without in now[name]
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    for name in LOGS:
        assert now[name] == "one ********** two '*' 7 \u00e9\n".encode() * 3 + b"half **********"
    assert {name: now[name] for name in OTHERS} == dict.fromkeys(OTHERS, ID.encode())
    assert {name: (tmp_path / name).stat().st_ino for name in inodes} == inodes

    assert texts.erase(tmp_path, MENTIONS) == []
    assert contents(tmp_path) == now


def test_a_program_goes_on_with_its_log(tmp_path: Path) -> None:
    """As supervision's programs do: by a file that they have been given, and that nobody opens again."""
    path = put(tmp_path, "logs/serving.log", b"")
    lines = 20_000
    with path.open("ab", buffering=0) as log:

        def write() -> None:
            for number in range(lines):
                log.write(f"{number} {ID}\n".encode())

        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            texts.erase(tmp_path, MENTIONS)
        log.write(f"later {ID}\n".encode())
    texts.erase(tmp_path, MENTIONS)
    written = path.read_text().splitlines()
    assert written == [*(f"{number} **********" for number in range(lines)), "later **********"]


def test_a_long_log_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_AT_ONCE", 100)
    path = put(tmp_path, "a.log", (b"x" * 85 + b"\n" + ID.encode() + b"\n") * 9 + b"y" * 250 + b" " + ID.encode())
    assert texts.erase(tmp_path, MENTIONS) == [path]
    assert ID.encode() not in path.read_bytes()
    assert path.stat().st_size == 9 * 97 + 261


def test_what_is_replaced_meanwhile_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "reports/page.html", ID.encode())
    without = MENTIONS.without

    def late(text: str) -> str:
        monkeypatch.undo()
        other = put(tmp_path, "other", f"new {ID}".encode())
        other.replace(path)
        return without(text)

    monkeypatch.setattr(MENTIONS, "without", late)
    assert texts.erase(tmp_path, MENTIONS) == [path]
    assert path.read_bytes() == b"new erased"


def test_folders_are_found_through_links_once(tmp_path: Path) -> None:
    page = put(tmp_path / "disk", "page.html", ID.encode())
    home = tmp_path / "home"
    home.mkdir()
    (home / "reports").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "again").symlink_to(home)
    (home / "gone").symlink_to(tmp_path / "nothing")
    assert texts.erase(home, MENTIONS) == [page]
    assert (home / "reports").is_symlink()


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    number, _, host = mark().split("-")
    dead = put(tmp_path, f"reports/.page.html.{number}-1-{host}.0a", b"\0" + ID.encode())
    folder = put(tmp_path, f"mlflow/tmp/.{number}-1-{host}.xyz/bundle/rows.json", ID.encode())
    alive = put(tmp_path, f"reports/.page.html.{mark()}.0b", b"\0")
    texts.erase(tmp_path, MENTIONS)
    assert (dead.exists(), folder.parents[1].exists(), alive.exists()) == (False, False, True)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, opened = put(tmp_path, "logs/a.log", ID.encode()), Path.open

    def refused(path: Path, *options: Any, **more: Any) -> Any:
        if path == file:  # as for anybody but root, who may write everywhere
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *options, **more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PlaceError, match=r"a\.log"):
        texts.erase(tmp_path, MENTIONS)


def test_receipts_that_mention_somebody_are_told() -> None:
    receipts = {1: b'{"reason": "asked by 7590-VHVEG"}', 2: b'{"number": 7}', 3: b'{"reason": "\'7\'"}'}
    assert texts.receipts_that_mention(receipts, MENTIONS) == [1, 3]
