"""The online features that are served: which publication, and a customer's row.

Here: watching the online store, and saying why it has nothing. Not here: reading SQLite or PostgreSQL
(`churn_platform.online`).
"""

from __future__ import annotations

from churn_platform.online.types import Publication, Reader, StoreUnavailableError
from serving.metrics import Metrics, age
from serving.problems import ProblemError
from serving.scoring import decode_features


class OnlineFeatures:
    """Holds the publication that `refresh` saw last, and the `names` of its features, which all its customers have.

    `problem` says why there is none, and is None when all is well; `names` is None where they are not known.
    """

    def __init__(self, reader: Reader, metrics: Metrics) -> None:
        self.publication: Publication | None = None
        self.names: frozenset[str] | None = None
        self.problem: str | None = "features: not looked for yet"
        self.reader = reader
        self._metrics = metrics
        metrics.features_age.set_function(lambda: age(self.publication.month if self.publication else None))

    async def refresh(self) -> None:
        """Ask the store what it holds. Never raises for what the store holds or does."""
        try:
            publication = await self.reader.publication()
            if publication is not None and publication != self.publication:
                self.names = await self._names()
        except StoreUnavailableError as error:
            self.problem = f"features: {error}"  # the last publication stays known: each read finds out for itself
            return
        self.publication = publication
        self.problem = None if publication else "features: none were published (materialize online_features)"
        self._metrics.customers.set(publication.customers if publication else 0)

    async def _names(self) -> frozenset[str] | None:
        for customer in await self.reader.first(1):
            if row := await self.reader.get(customer):
                try:
                    return frozenset(decode_features(row.features))
                except ProblemError:
                    return None  # asking for this customer says what is wrong with the row
        return None

    def lacking(self, required: frozenset[str]) -> str | None:
        """What a champion needs and the publication does not have, in a sentence; None where that is nothing."""
        missing = sorted(required - self.names) if self.names is not None else []
        return f"features: {', '.join(missing)}, which the champion needs, were not published" if missing else None
