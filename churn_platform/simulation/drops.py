"""The simulation: monthly drops of the synthetic company that look and behave like real ones.

Here: the company's months as the contract's tables, and writing a drop. Not here: the command (`__main__`), the
customers (`company`), who churns and why (`hazard`), or what the tables hold (`contracts`).

Everything follows from the seed: each month draws from streams of its own, so that a month's bytes do not depend on
how many months were asked for. The company has lived for years before its first drop, so that tenure and
payments start settled. In a quiet month about 21 % of the customers get the label: they churn in the month after
as_of and are gone from the next drop. The label is known as long after as_of as StreamFlow's declaration says.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from churn_platform.contracts import Contract, streamflow
from churn_platform.faults import Fault
from churn_platform.files import replacing
from churn_platform.intake.drops import files_of, newest
from churn_platform.modelling.metrics import auc
from churn_platform.months import Month
from churn_platform.shown import counted, inert
from churn_platform.simulation import CUSTOMERS
from churn_platform.simulation.company import ADD_ONS, CONTRACTS, FLAGS, GENDERS, NETS, NO_INTERNET, STREAMS, Company
from churn_platform.simulation.hazard import Shock, ShockKind, in_force

FIRST = Month(2024, 1)

_CONTRACT = streamflow()
"""The simulated company is StreamFlow."""

_LABELS = _CONTRACT.labels.name

_LETTERS = 26**5
_IDS = 10**4 * _LETTERS
_ID_STRIDE = 73_430_942_011
"""Prime to `_IDS` and about its golden section: its multiples modulo `_IDS` are all different and well spread."""


class SimulationError(Fault):
    """There is no such company, or its month has a drop already."""


@dataclass(frozen=True)
class SimulatedMonth:
    """One month of the company, rows in user_id order.

    `tables` maps table to column to values [n]: booleans, integers, floats, text or datetime64[D], masked where
    unknown. `churn_probability`, float64 [n], is the true hazard that the labels were drawn from.
    """

    month: Month
    index: int
    tables: Mapping[str, Mapping[str, np.ndarray]]
    churn_probability: np.ndarray

    @property
    def folder(self) -> str:
        """The name of its drop's folder."""
        return f"month_{self.index:03d}"

    @cached_property
    def best_auc(self) -> float | None:
        """The true hazard's AUC against the labels, which a model beats only by luck.

        None if all or none churn, or no labels are known yet.
        """
        labels = self.tables.get(_LABELS)
        return None if labels is None else auc(self.churn_probability, labels[_CONTRACT.label])

    def known_by(self, day: date) -> SimulatedMonth:
        """The month as it can be delivered on that day: without labels where nobody can know them yet."""
        if day >= self.month.as_of + timedelta(days=_CONTRACT.declaration.label.horizon_days):
            return self
        return replace(self, tables={name: rows for name, rows in self.tables.items() if name != _LABELS})

    def summary(self) -> dict[str, object]:
        """What was simulated, for JSON: month, folder, rows by table, best_auc."""
        rows = {name: columns[_CONTRACT.key].size for name, columns in self.tables.items()}
        best = None if self.best_auc is None else round(self.best_auc, 4)
        return {"month": str(self.month), "folder": self.folder, "rows": rows, "best_auc": best}


def simulate(
    months: int, customers: int = CUSTOMERS, seed: int = 0, shocks: Sequence[Shock] = (), first: Month = FIRST
) -> Iterator[SimulatedMonth]:
    """The company's first `months` months, one after the other.

    The first has exactly `customers` customers, the others about as many. The same arguments give the same values;
    a month depends neither on `months` nor on later shocks. Raises SimulationError for fewer than 1 month or customer,
    and for a negative seed.
    """
    if months < 1 or customers < 1:
        asked = f"{counted(months, 'month')} of {counted(customers, 'customer')}"
        raise SimulationError(f"{asked}: ask for at least 1 month and 1 customer")
    if seed < 0:
        raise SimulationError(f"the seed is {seed}: it must be 0 or more")
    company = Company.settled(customers, seed, first, shocks)
    for index in range(months):
        month = first + index
        probability = company.live(shocks)
        yield _observe(company, month, index, probability, in_force(shocks, month))


def next_month(folder: Path, first: Month) -> Month:
    """The month after the newest drop in a folder of drops; the first one where there is none."""
    found = newest(folder, first)
    return first if found is None else found + 1


def user_ids(serials: np.ndarray, seed: int) -> np.ndarray:
    """User ids, text [n], of customers numbered int64 [n]: a different id for each number, in no visible order."""
    start = np.random.default_rng(seed).integers(_IDS)
    numbers = (serials * _ID_STRIDE + start) % _IDS
    digits = numbers[:, None] // _LETTERS // 10 ** np.arange(3, -1, -1) % 10 + ord("0")
    letters = numbers[:, None] // 26 ** np.arange(4, -1, -1) % 26 + ord("A")
    dashes = np.full((numbers.size, 1), ord("-"))
    codes = np.hstack([digits, dashes, letters]).astype(np.uint32)
    return codes.view("U10")[:, 0]


def write_drop(month: SimulatedMonth, folder_of_drops: Path) -> Path:
    """Write `month_NNN/` with one CSV file per table of the contract, and return its path.

    The folder appears whole or not at all. Raises SimulationError where the month has a drop already.
    """
    drop = folder_of_drops / month.folder
    for existing in (drop, folder_of_drops / str(month.month)):
        if existing.exists():
            raise _delivered(month, existing)
    partial = folder_of_drops / f".{month.folder}.{secrets.token_hex(4)}"
    partial.mkdir(parents=True)
    try:
        for name, columns in month.tables.items():
            (partial / f"{name}.csv").write_bytes(_as_csv(columns))
        partial.rename(drop)
    except OSError as error:
        if drop.exists():  # somebody else was faster
            raise _delivered(month, drop) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # still there only after an error
    return drop


def deliver_labels(month: SimulatedMonth, folder_of_drops: Path) -> int:
    """Put a month's labels into its drop, which was written without, and return how many there are.

    0 where nothing is done: the labels are not known yet, or are there in any format, or the drop's other tables are
    not this month's, as those of another seed. Labels that somebody has removed come back: they look like those of a
    drop that was written before they were known.
    """
    drop = folder_of_drops / month.folder
    if _LABELS not in month.tables or not drop.is_dir() or files_of(drop, _CONTRACT.labels):
        return 0
    for name, columns in month.tables.items():
        file = drop / f"{name}.csv"
        if name != _LABELS and (not file.exists() or file.read_bytes() != _as_csv(columns)):
            return 0
    with replacing(drop / f"{_LABELS}.csv") as temporary:
        temporary.write_bytes(_as_csv(month.tables[_LABELS]))
    return int(month.tables[_LABELS][_CONTRACT.key].size)


def _as_csv(columns: Mapping[str, np.ndarray]) -> bytes:
    cells = ([_cell(value) for value in values.tolist()] for values in columns.values())
    return "\n".join([",".join(columns), *map(",".join, zip(*cells, strict=True)), ""]).encode()


def _delivered(month: SimulatedMonth, drop: Path) -> SimulationError:
    return SimulationError(f"{drop} already holds a drop of {month.month}: remove it, or ask for the next month")


def refuse_others(contract: Contract) -> None:
    """Raise SimulationError for any other company's platform: its drops would be StreamFlow's."""
    if contract is not _CONTRACT:
        name = inert(contract.declaration.company.name)
        raise SimulationError(f"only StreamFlow can be simulated, and CHURN_COMPANY declares {name}: deliver its drops")


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _observe(
    company: Company, month: Month, index: int, probability: np.ndarray, shocks: Sequence[ShockKind]
) -> SimulatedMonth:
    """What the company delivers for the month that it has just lived."""
    ids = user_ids(company.people["serial"], company.seed)
    order = np.argsort(ids)
    people = company.people[order]
    offline = people["net_service"] == NO_INTERNET
    metered = ShockKind.COVARIATE_ONLY in shocks  # differently: the numbers change, the customers do not
    tickets = people["tickets"].sum(1)
    values = {
        _CONTRACT.key: ids[order],
        "user_gender": np.array(GENDERS)[people["user_gender"]],
        **{name: people[name] for name in ("signup_date", *FLAGS, "months_active")},
        **{name: np.ma.array(people[name], mask=offline) for name in (*STREAMS, *ADD_ONS)},
        "contract_type": np.array(CONTRACTS)[people["contract_type"]],
        "net_service": np.array(NETS)[people["net_service"]],
        "monthly_fee": people["fee"],
        "total_paid": np.round(people["total_paid"], 2),
        "watch_hours_30d": np.round(np.minimum(people["watch"] * (1.3 if metered else 1), 720), 3),
        "avg_session_mins_7d": np.round(people["session"] * (0.8 if metered else 1), 2),
        "unique_devices_30d": people["devices"] + metered,
        "skips_7d": people["skips"],
        "rebuffer_events_7d": people["rebuffers"],
        "failed_payments_90d": people["failed"].sum(1),
        "support_tickets_90d": tickets,
        "ticket_avg_resolution_hrs_90d": np.round(people["ticket_hours"].sum(1) / np.maximum(tickets, 1), 1),
        _CONTRACT.label: people["churns"],
    }
    tables = _CONTRACT.tables
    missing = [f"{table.name}.{c.name}" for table in tables for c in table.columns if c.name not in values]
    if missing:
        raise ValueError(
            f"no synthetic values for {', '.join(missing)} of the contract: add them to simulation/drops.py"
        )
    delivered = {table.name: {column.name: values[column.name] for column in table.columns} for table in tables}
    return SimulatedMonth(month, index, delivered, probability[order])
