"""The company's declaration in backups: it comes back with the rest, wherever it lay, and whoever restores is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_platform.backup import making, restoring
from churn_platform.company.reading import shipped_text
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done


def backed_up(folder: Path, company: Path | None, content: str = foreign.CLUB) -> Path:
    """The backup of a platform whose declaration lies there."""
    platform = Platform(homes.settings_of(folder, company=company))
    platform.settings.home.mkdir(exist_ok=True)
    (platform.settings.home / "api_token").write_text("t0ken")
    if company:
        company.parent.mkdir(parents=True, exist_ok=True)
        company.write_text(content)
    assert "Note" not in done(platform, "backup", str(folder / "one.tar"))
    return folder / "one.tar"


def at(home: Path, company: Path | None = None) -> Platform:
    return Platform(homes.settings_of(home.parent, company=company).model_copy(update={"home": home}))


@pytest.mark.parametrize(
    ("place", "there", "name"),
    [
        ("elsewhere/declared.toml", None, "company.toml"),
        ("elsewhere/declared.toml", "company.toml", "company_2.toml"),
        ("elsewhere/declared.toml", "company.toml/inside.txt", "company_2.toml"),
        ("home/gym.toml", "company.toml", "gym.toml"),
        ("home/.conf/company.toml", None, "company.toml"),  # what has a dot is left out of backups
        ("home/.company.toml", "company.toml", "company_2.toml"),
    ],
)
def test_a_backup_holds_the_declaration(place: str, there: str | None, name: str, tmp_path: Path) -> None:
    if there:
        file = tmp_path / "home" / there
        file.parent.mkdir(parents=True)
        file.write_text("another's")
    company = tmp_path / place
    backup = backed_up(tmp_path, company)

    after = at(tmp_path / "after" / "home")
    restored = after.settings.home / name
    told = f"Set CHURN_COMPANY={restored}, the company's declaration, before anything else is started"
    assert told in done(after, "restore", str(backup)).splitlines()
    assert restored.read_text() == foreign.CLUB
    assert there is None or (after.settings.home / there).read_text() == "another's"

    other = at(tmp_path / "other" / "home", company)
    assert "CHURN_COMPANY" not in done(other, "restore", str(backup))  # it is named already


def test_what_was_restored_is_not_kept_twice(tmp_path: Path) -> None:
    company = tmp_path / "declared.toml"
    after = at(tmp_path / "after" / "home", company)
    done(after, "restore", str(backed_up(tmp_path, company)))
    done(after, "backup", str(tmp_path / "two.tar"))
    again = at(tmp_path / "again" / "home", company)
    done(again, "restore", str(tmp_path / "two.tar"))
    assert [path.name for path in again.settings.home.glob("company*")] == ["company.toml"]


@pytest.mark.parametrize("copied", [False, True])
def test_the_shipped_declaration_need_not_be_named(copied: bool, tmp_path: Path) -> None:
    """Nor is a copy of it, which the containers name, another one."""
    copy = tmp_path / "copy.toml"
    backup = backed_up(tmp_path, copy if copied else None, shipped_text())
    copy.write_text(shipped_text())
    unset, named = at(tmp_path / "unset" / "home"), at(tmp_path / "named" / "home", copy)
    for platform in (unset, named):
        assert "CHURN_COMPANY" not in done(platform, "restore", str(backup))
        assert (platform.settings.home / "company.toml").exists() == copied


def test_another_company_than_the_shipped_one_is_told(tmp_path: Path) -> None:
    backup = backed_up(tmp_path, None)
    (tmp_path / "club.toml").write_text(foreign.CLUB)
    platform = at(tmp_path / "after" / "home", tmp_path / "club.toml")
    told = "Unset CHURN_COMPANY, since the company is the example that is shipped, before anything else is started"
    assert told in done(platform, "restore", str(backup)).splitlines()


def test_what_is_published_again_is_as_the_restored_company_declares_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, published = backed_up(tmp_path, tmp_path / "declared.toml"), []
    prepare = restoring._prepare
    monkeypatch.setattr(restoring, "_prepare", lambda *told: (prepare(*told)[0], [("features", homes.MONTHS[0])]))
    monkeypatch.setattr(restoring, "_publish", lambda settings, *_: published.append(settings.company))
    (tmp_path / "other.toml").write_text(foreign.BANK)
    for name in (None, "other.toml", "gone.toml"):
        home = tmp_path / f"after {name}" / "home"
        done(at(home, tmp_path / name if name else None), "restore", str(backup))
        assert published.pop() == home / "company.toml"


def test_a_backup_without_its_declaration_is_refused_before_anything_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(making, "_with_declaration", lambda _, files: ("gone.toml", files))
        backup = backed_up(tmp_path, tmp_path / "declared.toml")
    platform = at(tmp_path / "after" / "home", tmp_path / "declared.toml")
    told = done(platform, "restore", str(backup), exit_code=1)
    assert "one.tar lacks gone.toml, the company's declaration: use another one" in " ".join(told.split())
    assert list(platform.settings.home.iterdir()) == []


def test_as_many_files_are_announced_as_are_written(tmp_path: Path) -> None:
    company = tmp_path / "declared.toml"
    backed_up(tmp_path, company)
    steps: list[str] = []
    made = making.make(at(tmp_path / "home", company).home, tmp_path / "two.tar", steps.append)
    assert f"writing {made.files} files" in steps


def test_a_declaration_that_is_gone_is_told(tmp_path: Path) -> None:
    company = tmp_path / "declared.toml"
    backed_up(tmp_path, company)
    company.unlink()
    told = done(at(tmp_path / "home", company), "backup", str(tmp_path / "two.tar"))
    assert f"the declaration {company} (CHURN_COMPANY) is not in it, since there is no such file" in told
