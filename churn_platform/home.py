"""Home: what one `CHURN_HOME` holds, opened by its settings.

Here: putting the lake, the registry and the ledger of the same settings together; `python -m churn_platform.home` opens
the registry, which makes it where there is none. Not here: what they do.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from churn_platform.champion.books import FileBook
from churn_platform.champion.receipts import Ledger
from churn_platform.champion.registry import Registry
from churn_platform.contracts import Contract, declared
from churn_platform.faults import entrance
from churn_platform.lake import Lake
from churn_platform.online import store
from churn_platform.settings import Settings, begin
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    from churn_platform.champion.postgres import PostgresBook


class Home:
    """The stores of one platform. Opening one costs nothing; each store opens at its first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def contract(self) -> Contract:
        """What the company's drops hold."""
        return declared(self.settings.company)

    @cached_property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.settings.lake, self.contract)

    @cached_property
    def registry(self) -> Registry:
        """The models."""
        return Registry(self.settings.mlflow_uri, self.settings.mlflow_home / "artifacts")

    @property
    def tombstones(self) -> Tombstones:
        """Who was erased, as it is known now."""
        return Tombstones(self.settings.tombstones_folder)

    @cached_property
    def ledger(self) -> Ledger:
        """The decisions: in the platform's PostgreSQL, or in files."""
        return Ledger(self._postgres_book or self._files)

    @cached_property
    def _files(self) -> FileBook:
        return FileBook(self.settings.home / "receipts")

    @cached_property
    def _postgres_book(self) -> PostgresBook | None:
        url = self.settings.postgres_url.get_secret_value()
        if not url:
            return None
        from churn_platform.champion.postgres import PostgresBook

        return PostgresBook(url, earlier=self._files)

    def make_tables(self) -> None:
        """Make the receipts' and the online store's tables in the platform's PostgreSQL: serving may only read them."""
        if self._postgres_book:
            self._postgres_book.make_tables()
            store.make_tables(self.settings.postgres_url.get_secret_value())


if __name__ == "__main__":
    with entrance():
        _ = Home(begin()).registry.client
