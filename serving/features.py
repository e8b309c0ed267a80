"""The online features that are served: which publication, and a customer's row.

Here: watching the online store, and saying why it has nothing. Not here: reading SQLite or PostgreSQL
(`churn_platform.online`).
"""

from __future__ import annotations

from churn_platform.online.types import EarlierStoreError, Publication, Reader, StoreUnavailableError
from serving.metrics import Metrics, age


class OnlineFeatures:
    """Holds the publication that `refresh` saw last. `problem` says why there is none, and is None when all is well."""

    def __init__(self, reader: Reader, metrics: Metrics) -> None:
        self.publication: Publication | None = None
        self.problem: str | None = "features: not looked for yet"
        self.reader = reader
        self._metrics = metrics
        metrics.features_age.set_function(lambda: age(self.publication.month if self.publication else None))

    async def refresh(self) -> None:
        """Ask the store what it holds. Never raises for what the store holds or does."""
        try:
            self.publication = await self.reader.publication()
            self.problem = None if self.publication else "features: none were published (materialize online_features)"
        except EarlierStoreError as error:
            self.publication, self.problem = None, f"features: {error}"
        except StoreUnavailableError as error:
            self.problem = f"features: {error}"  # the last publication stays known: each read finds out for itself
            return
        self._metrics.customers.set(self.publication.customers if self.publication else 0)
