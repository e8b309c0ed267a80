"""Expectations: Great Expectations' judgement of one table, and the page that shows it.

Here: the suite that the contract implies, its evaluation, its Data Docs page. Not here: parsing, rules between
tables, what happens to broken rows (`landing`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_platform.company.declaration import Kind, Role
from churn_platform.contracts import Column, Table
from churn_platform.files import replacing
from churn_platform.shown import inert

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation

DUPLICATE = "duplicate key"
PAGE_VALUES = 20
"""How many different broken values of a column the page shows, as Great Expectations does."""

_OUTSIDE = re.compile(
    r"<link\b[^>]*>|<img\b[^>]*>|<script\b.*?</script>|\sonclick=\"[^\"]*\"|url\([\"']?https?:[^)]*\)"
    r"|<nav class=\"d-flex.*?</nav>|\shref=\"(?!#)[^\"]*\"",
    re.DOTALL,
)
"""What the page would fetch or run, and its links to other pages."""

# Its styles are everywhere in it. Nothing else may be fetched or run, whatever is in the page.
_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'\">"
)


@dataclass(frozen=True)
class Broken:
    """One value that breaks a rule; `row` is the value of the row column that `evaluate_suite` was given."""

    row: int
    column: str
    rule: str


@dataclass(frozen=True)
class Found:
    """A broken row in its file: the part's name where the table has some, its line, and its texts by column."""

    part: str
    line: int
    texts: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.part}: {self.line}" if self.part else str(self.line)


@dataclass(frozen=True)
class Judgement:
    """Great Expectations' verdict on a whole table: its own result, and every broken value."""

    result: ExpectationSuiteValidationResult
    broken: tuple[Broken, ...]

    @property
    def expectations(self) -> int:
        """How many expectations were evaluated."""
        return len(self.result.results)

    def show(self, found: Mapping[int, Found], unit: str) -> None:
        """Have the page name broken rows by their place in the file, and show what stands there.

        Great Expectations has judged the parsed table, where `many` in a column of numbers is null.
        """
        for outcome in self.result.results:
            told = outcome.result
            if not (rows := told.get("unexpected_index_list")):
                continue
            (row,), column = told["unexpected_index_column_names"], outcome.expectation_config.kwargs["column"]
            places = [found[int(index[row])] for index in rows]
            texts = [place.texts.get(column) for place in places]
            told["unexpected_index_list"] = [
                {column: text, unit: str(place)} for text, place in zip(texts, places, strict=True)
            ]
            told["unexpected_index_column_names"] = [unit]
            told["unexpected_list"] = texts
            counts = Counter(texts).most_common(PAGE_VALUES)
            told["partial_unexpected_counts"] = [{"value": text, "count": count} for text, count in counts]
            told["partial_unexpected_list"] = texts[:PAGE_VALUES]
            told.pop("unexpected_index_query", None)  # it would ask the parsed table

    def write_page(self, title: str, path: Path) -> None:
        """Write Great Expectations' Data Docs page of this judgement, self-contained.

        Great Expectations' own page takes its styles and scripts from the internet; here the styles are ours, and
        the page reads the same on a closed network.
        """
        from great_expectations.render.renderer import ValidationResultsPageRenderer
        from great_expectations.render.view import DefaultJinjaPageView

        self.result.meta["batch_spec"] = {"data_asset_name": title}  # without a name it says None
        page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(_shown(self.result)))
        style = files("churn_platform.intake").joinpath("data_docs.css").read_text()
        page = _OUTSIDE.sub("", page).replace("<head>", f"<head>{_POLICY}", 1)
        page = page.replace("</head>", f"<style>{style}</style></head>", 1)
        page = page.replace("<body>", f"<body><h1>{title}</h1>", 1)
        with replacing(path) as temporary:
            temporary.write_text(page)


def _shown(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """The result with what was found in the table made inert: Great Expectations' page has it as it is."""
    shown = copy(result)
    shown.results = [copy(outcome) for outcome in result.results]
    for outcome in shown.results:
        outcome.result = _inert(outcome.result)
    return shown


def _inert(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _inert(part) for name, part in found.items()}
    if isinstance(found, list):
        return [_inert(part) for part in found]
    return inert(found) if isinstance(found, str) else found


@cache
def _context() -> EphemeralDataContext:
    """One context per process: making it costs more than judging a table."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import; on a closed network it only stalls
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    # Without sites: a temporary folder is made for them, which a process that is killed leaves behind.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}
    return context


def _rules(column: Column, mostly: float, as_of: date) -> Iterator[tuple[str, Expectation]]:
    """The expectations on one column, each with the rule in words."""
    import great_expectations.expectations as gxe

    if not column.nullable and not column.optional:
        yield "is blank", gxe.ExpectColumnValuesToNotBeNull(column=column.name, mostly=mostly)
    if column.role is Role.KEY:
        yield DUPLICATE, gxe.ExpectColumnValuesToBeUnique(column=column.name, mostly=mostly)
    if column.pattern:
        yield (
            f"does not match {column.pattern}",
            gxe.ExpectColumnValuesToMatchRegex(column=column.name, regex=rf"^(?:{column.pattern})\Z", mostly=mostly),
        )
    if column.allowed:
        yield (
            f"is not one of {', '.join(column.allowed)}",
            gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.allowed), mostly=mostly),
        )
    if column.minimum is not None or column.maximum is not None:
        yield (
            f"is {column.outside}",
            gxe.ExpectColumnValuesToBeBetween(
                column=column.name, min_value=column.minimum, max_value=column.maximum, mostly=mostly
            ),
        )
    if column.kind is Kind.DATE:
        bounds = [datetime.combine(day, time()) if day else None for day in (column.earliest, as_of)]
        yield (
            f"is outside {column.earliest} to {as_of}" if column.earliest else f"is after {as_of}",
            gxe.ExpectColumnValuesToBeBetween(
                column=column.name, min_value=bounds[0], max_value=bounds[1], mostly=mostly
            ),
        )


def _quick(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with dates in nanoseconds: any others Great Expectations compares one by one, four seconds a million.

    Nanoseconds end in 2262, so later dates become that year, and early ones 1678: both lie outside of any bounds.
    """
    import pandas as pd

    first, last = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    days = {c.name: frame[c.name] for c in table.columns if c.kind is Kind.DATE}
    held = {name: day.mask(day < first, first).mask(day > last, last) for name, day in days.items()}
    return frame.assign(**{name: day.astype("datetime64[ns]") for name, day in held.items()})


def evaluate_suite(table: Table, frame: pd.DataFrame, row: str, tolerance: float, as_of: date) -> Judgement:
    """Evaluate the suite of a table's contract on the whole parsed table of the month that ends on `as_of`.

    `frame` has the contract's columns, typed, and a column `row` that numbers its rows. An expectation holds if
    at most the share `tolerance` of the rows break it. Raises RuntimeError where one cannot be evaluated.
    """
    import great_expectations as gx

    rules = [(column.name, rule, e) for column in table.columns for rule, e in _rules(column, 1 - tolerance, as_of)]
    suite = gx.ExpectationSuite(name=table.name, expectations=[expectation for _, _, expectation in rules])
    batch = (
        _context()
        .data_sources.add_or_update_pandas("drops")
        .add_dataframe_asset(table.name)
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": _quick(table, frame)})
    )
    result = batch.validate(suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [row]})
    rule_of = {(e.expectation_type, name): rule for name, rule, e in rules}
    broken = []
    for outcome in result.results:
        config: Any = outcome.expectation_config
        told = outcome.exception_info  # of the expectation, or one for each of its metrics that failed
        for info in (told,) if "raised_exception" in told else told.values():
            if info["raised_exception"]:
                raise RuntimeError(f"{table.name}: {config.type} failed: {info['exception_message']}")
        column = config.kwargs["column"]
        for found in outcome.result.get("unexpected_index_list") or ():
            broken.append(Broken(int(found[row]), column, rule_of[config.type, column]))
    return Judgement(result, tuple(sorted(broken, key=lambda b: (b.row, b.column))))
