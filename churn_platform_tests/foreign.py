"""Companies that are not StreamFlow: their declarations, and drops as such companies deliver them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

TELCO = """
[company]
name = "Telco"
[customer]
key = "customerID"
pattern = '[0-9]{4}-[A-Z]{5}'
[label]
table = "customers"
column = "Churn"
[money]
fee = "Monthly Charges"
[tables.customers]
meaning = "The customers."
customers = true
file = "Telco-*"
null_values = [" "]
[tables.customers.columns]
gender = { kind = "category", role = "segment", values = ["Female", "Male"], meaning = "Gender." }
Partner = { kind = "boolean", meaning = "Has a partner." }
Contract = { kind = "category", meaning = "How long the contract binds." }
"Monthly Charges" = { kind = "number", minimum = 0, meaning = "The fee of a month." }
TotalCharges = { kind = "number", nullable = true, meaning = "All fees so far." }
Churn = { kind = "boolean", role = "label", meaning = "Left within a month." }
"""
"""One wide table of text keys, with an open category, blanks written as a space, and the label beside the rest."""

CALLS = """
[tables.calls]
meaning = "Who called in the month."
missing = "zero"
[tables.calls.columns]
Calls = { kind = "integer", minimum = 0, meaning = "Calls in the month." }
"""
"""A second table of the first one: only those who called have a row."""

BANK = """
[company]
name = "Bank"
[customer]
key = "CustomerId"
kind = "integer"
[label]
table = "exits"
column = "Exited"
[tables.clients]
meaning = "The clients."
customers = true
delimiter = ";"
decimal = ","
encoding = "cp1252"
true_values = ["ja"]
false_values = ["nein"]
date_format = "%d.%m.%Y"
[tables.clients.columns]
Surname = { kind = "text", role = "ignored", meaning = "The surname." }
Land = { kind = "category", nullable = true, meaning = "The country." }
Balance = { kind = "number", meaning = "What is on the account." }
Active = { kind = "boolean", meaning = "Uses the account." }
Since = { kind = "date", earliest = 1990-01-01, meaning = "The day of the contract." }
[tables.exits]
meaning = "Who left."
[tables.exits.columns]
Exited = { kind = "boolean", role = "label", meaning = "Left." }
[features.derived]
rich = { sql = "Balance > 1000", kind = "boolean", meaning = "Has more than a thousand." }
"""
"""Integer keys, semicolons, decimal commas, words for true and false, German dates; no money, no segments."""


CLUB = """
[company]
name = "Club"
[customer]
key = "Member No"
kind = "integer"
[label]
column = "Left"
leaves = { after_months = 1 }
[tables.members]
meaning = "The members."
customers = true
delimiter = ";"
decimal = ","
[tables.members.columns]
City = { kind = "category", nullable = true, meaning = "The city." }
Visits = { kind = "integer", minimum = 0, was = ["Entries"], meaning = "Visits in the month." }
Distance = { kind = "number", minimum = 0, meaning = "The way to the club, in kilometres." }
Locker = { kind = "boolean", until = "2024-03", meaning = "Rents a locker." }
[features.history]
columns = ["Visits"]
"""
"""Nobody delivers labels: who is gone has left. A column is renamed in the third month, another ends with it."""


def club(drops: Path, months: int, members: int = 600) -> None:
    """Drops of the third one; who seldom comes leaves sooner, and a few join each month."""
    chance = np.random.default_rng(3)
    keys, habit = np.arange(members), chance.uniform(0, 12, members)
    for month in range(1, months + 1):
        frame = pd.DataFrame(
            {
                "Member No": keys,
                "City": chance.choice(["Graz", "Linz", "Wien"], len(keys)),
                "Entries" if month < 3 else "Visits": chance.poisson(habit),
                "Distance": chance.uniform(0, 30, len(keys)).round(1),
                "Locker": chance.choice(["yes", "no"], len(keys)),
            }
        )
        folder = drops / f"2024-{month:02d}"
        folder.mkdir(parents=True)
        frame.drop(columns="Locker" if month > 3 else []).to_csv(
            folder / "members.csv", sep=";", decimal=",", index=False
        )
        stays = chance.random(len(keys)) > 0.5 / (1 + habit)
        joined = np.arange(1000 * month, 1000 * month + 40)
        keys = np.concatenate([keys[stays], joined])
        habit = np.concatenate([habit[stays], chance.uniform(0, 12, len(joined))])


def telco(folder: Path, customers: int = 600, *, labelled: bool = True) -> Path:
    """A drop of the first one."""
    chance = np.random.default_rng(1)
    contract = chance.choice(["Month-to-month", "One year", "Two year"], customers)
    fee = np.round(chance.uniform(20, 120, customers), 2)
    churned = chance.random(customers) < np.where(contract == "Month-to-month", 0.5, 0.1)
    frame = pd.DataFrame(
        {
            "customerID": [f"{n:04d}-ABCDE" for n in chance.permutation(customers)],
            "gender": chance.choice(["Female", "Male"], customers),
            "Partner": chance.choice(["Yes", "No"], customers),
            "Contract": contract,
            "Monthly Charges": fee,
            "TotalCharges": [" " if n % 50 == 0 else f"{amount * n:.2f}" for n, amount in enumerate(fee)],
            "Churn": np.where(churned, "Yes", "No"),
        }
    )
    folder.mkdir(parents=True)
    frame = frame if labelled else frame.drop(columns="Churn")
    frame.to_csv(folder / "Telco-Customer-Churn.csv", index=False)
    return folder


def calls(drop: Path, name: str = "calls") -> Path:
    """Adds the second table to a drop of the first company: every other customer called three times."""
    keys = pd.read_csv(next(drop.glob("Telco-*")))["customerID"].sort_values()
    pd.DataFrame({"customerID": keys[::2], "Calls": 3}).to_csv(drop / f"{name}.csv", index=False)
    return drop


def bank(folder: Path, customers: int = 600) -> Path:
    """A drop of the second one."""
    chance = np.random.default_rng(2)
    land = chance.choice(["Österreich", "Schweiz", ""], customers, p=[0.6, 0.39, 0.01])
    exited = chance.random(customers) < np.where(land == "Schweiz", 0.5, 0.1)
    keys = [f"{15_634_602 + n}.0" for n in chance.permutation(customers)]  # as a float column writes them
    lines = ["CustomerId;Surname;Land;Balance;Active;Since"]
    for key, where in zip(keys, land, strict=True):
        amount = f"{chance.uniform(0, 5000):.2f}".replace(".", ",")
        since = f"{chance.integers(1, 29):02d}.{chance.integers(1, 13):02d}.{chance.integers(1990, 2024)}"
        lines.append(f'{key};"Meier; Söhne";{where};{amount};{chance.choice(["ja", "nein"])};{since}')
    folder.mkdir(parents=True)
    (folder / "clients.csv").write_bytes("\n".join(lines).encode("cp1252"))
    labels = pd.DataFrame({"CustomerId": [int(float(key)) for key in keys], "Exited": exited.astype(int)})
    labels.to_parquet(folder / "exits.parquet")
    return folder
