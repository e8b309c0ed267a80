"""How much of the torture there is: a part of it by default, all of it with `--all`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Amount:
    """How many processes are killed, drops mutated and CSV files torn."""

    kills: int
    drops: int
    files: int


PART = Amount(kills=6, drops=40, files=400)
ALL = Amount(kills=54, drops=1_000, files=10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture")
    group.addoption("--all", action="store_true", help="all of the torture instead of some minutes of it")
    group.addoption("--seed", type=int, default=20_240_131, help="another seed tortures in other ways")


def amount(config: pytest.Config) -> Amount:
    return ALL if config.getoption("--all") else PART


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each kill and each share of the drops and files, so that a failure has a name."""
    much = amount(metafunc.config)
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(much.kills))
    if "tens_of_drops" in metafunc.fixturenames:
        metafunc.parametrize("tens_of_drops", range(much.drops // 10))
    if "hundreds_of_files" in metafunc.fixturenames:
        metafunc.parametrize("hundreds_of_files", range(much.files // 200))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--seed")
    return number
