"""Expectations: Great Expectations' judgement of one table, and the page that shows it.

Here: the suite that a table's rules are, its evaluation on all rows or a sample, its Data Docs page. Not here: the
rules, and what breaks them in all rows (`rules`); what happens to broken rows (`landing`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Table
from churn_platform.files import replacing
from churn_platform.intake.great_expectations_private import each_configuration_once
from churn_platform.intake.rules import Broken, Known, Matching, OneOf, Rule, Short, Unique, Within, rules_of
from churn_platform.shown import inert

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.datasource.fluent import PandasDatasource
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.render.view import DefaultJinjaPageView

MOST = 100_000
"""How many rows of a table Great Expectations judges at most. It takes two seconds a million, and a frame of them."""

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
class Found:
    """A broken row in its file: the part's name where the table has some, its line, and its texts by column."""

    part: str
    line: int
    texts: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.part}: {self.line}" if self.part else str(self.line)


@dataclass(frozen=True)
class Judgement:
    """Great Expectations' verdict on `judged` of a table's `rows`: its own result, and every broken value in them."""

    result: ExpectationSuiteValidationResult
    broken: tuple[Broken, ...]
    judged: int
    rows: int

    @property
    def sample(self) -> str:
        """What has to be said where the page shows a sample; empty where it shows all rows."""
        if self.judged == self.rows:
            return ""
        return (
            f"The page shows a sample: {self.judged:,} of {self.rows:,} rows, chosen by a hash of their keys. "
            f"All {self.rows:,} rows were judged by queries: they fill the quarantine, and decide if the month goes on."
        )

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

        self.result.meta["batch_spec"] = {"data_asset_name": title}  # without a name it says None
        page = _view().render(ValidationResultsPageRenderer().render(_shown(self.result)))
        style = files("churn_platform.intake").joinpath("data_docs.css").read_text()
        page = _OUTSIDE.sub("", page).replace("<head>", f"<head>{_POLICY}", 1)
        page = page.replace("</head>", f"<style>{style}</style></head>", 1)
        told = f"<p>{self.sample}</p>" if self.sample else ""
        page = page.replace("<body>", f"<body><h1>{title}</h1>{told}", 1)
        with replacing(path) as temporary:
            temporary.write_text(page)


@cache
def _view() -> DefaultJinjaPageView:
    """One view per process: each compiles its templates anew, which takes longer than filling them."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


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
def _drops() -> PandasDatasource:
    """One context per process, and in it one source: making them costs more than judging a table."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import; on a closed network it only stalls
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    # Without sites: a temporary folder is made for them, which a process that is killed leaves behind.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}
    return context.data_sources.add_pandas("drops")


@cache
def _batches(table: str) -> BatchDefinition[Any]:
    """What the frames of a table of this name are judged by: each change of a context is written out as YAML."""
    return _drops().add_dataframe_asset(table).add_batch_definition_whole_dataframe("whole")


def _expectation(rule: Rule, mostly: float) -> Expectation:
    """What Great Expectations calls a rule."""
    import great_expectations.expectations as gxe

    match rule:
        case Known():
            return gxe.ExpectColumnValuesToNotBeNull(column=rule.column, mostly=mostly)
        case Unique():
            return gxe.ExpectColumnValuesToBeUnique(column=rule.column, mostly=mostly)
        case Matching():
            return gxe.ExpectColumnValuesToMatchRegex(column=rule.column, regex=rule.regex, mostly=mostly)
        case Short():
            return gxe.ExpectColumnValueLengthsToBeBetween(column=rule.column, max_value=rule.most, mostly=mostly)
        case OneOf():
            return gxe.ExpectColumnValuesToBeInSet(column=rule.column, value_set=list(rule.allowed), mostly=mostly)
        case Within():
            low, high = (datetime.combine(b, time()) if isinstance(b, date) else b for b in (rule.low, rule.high))
            # An earliest day may lie after an old month. Great Expectations refuses bounds that nothing can keep.
            never = isinstance(low, datetime) and isinstance(high, datetime) and low > high
            return gxe.ExpectColumnValuesToBeBetween(
                column=rule.column, min_value=high if never else low, max_value=high, strict_min=never, mostly=mostly
            )
    raise AssertionError(rule)


def _quick(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with dates in nanoseconds: any others Great Expectations compares one by one, four seconds a million.

    Nanoseconds end in 2262, so later dates become that year, and early ones 1678: both lie outside of any bounds.
    """
    import pandas as pd

    first, last = pd.Timestamp(1678, 1, 1), pd.Timestamp(2262, 1, 1)
    days = {c.name: frame[c.name] for c in table.columns if c.kind is Kind.DATE}
    held = {name: day.mask(day < first, first).mask(day > last, last) for name, day in days.items()}
    return frame.assign(**{name: day.astype("datetime64[ns]") for name, day in held.items()})


def most_rows(rows: ibis.Table, total: int, row: str, key: str) -> pd.DataFrame:
    """A table's rows, which are `total`, as a frame: all of them up to MOST, else so many, always the same.

    Chosen by a hash of the key, so that rows of one key are judged together and a repeated one is seen; only of the
    last key some may be left out. A row without key is chosen by its number: either all of those, or none, would be in.
    """
    import ibis

    if total > MOST:
        chance = ibis.coalesce(rows[key], rows[row].cast("string")).hash()
        rows = rows.order_by(chance, row).limit(MOST).order_by(row)
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def evaluate_suite(
    table: Table, frame: pd.DataFrame, row: str | None, tolerance: float, as_of: date, rows: int | None = None
) -> Judgement:
    """Evaluate the suite of a table's contract on the parsed table of the month that ends on `as_of`.

    `frame` has the contract's columns, typed, and a column `row` that numbers its rows: None where the table is known
    to be sound, so that no row has to be named, which takes a quarter less time. It is a sample where the table has
    more `rows`. An expectation holds if at most the share `tolerance` of the frame's rows break it. Raises RuntimeError
    where one cannot be evaluated.
    """
    import great_expectations as gx

    rules = [(rule, _expectation(rule, 1 - tolerance)) for rule in rules_of(table, as_of)]
    suite = gx.ExpectationSuite(name=table.name, expectations=[expectation for _, expectation in rules])
    batch = _batches(table.name).get_batch({"dataframe": _quick(table, frame)})
    named = {"result_format": "COMPLETE", "unexpected_index_column_names": [row]}
    with each_configuration_once():
        result = batch.validate(suite, result_format=named if row else "BASIC")
    words = {(e.expectation_type, rule.column): rule.words for rule, e in rules}
    broken = []
    for outcome in result.results:
        config: Any = outcome.expectation_config
        told = outcome.exception_info  # of the expectation, or one for each of its metrics that failed
        for info in (told,) if "raised_exception" in told else told.values():
            if info["raised_exception"]:
                raise RuntimeError(f"{table.name}: {config.type} failed: {info['exception_message']}")
        column = config.kwargs["column"]
        for found in outcome.result.get("unexpected_index_list") or ():
            broken.append(Broken(int(found[row]), column, words[config.type, column]))
    broken.sort(key=lambda b: (b.row, b.column))
    return Judgement(result, tuple(broken), len(frame), len(frame) if rows is None else rows)
