"""StreamFlow's tables by name, for tests of what is done with tables like these."""

from __future__ import annotations

from churn_platform.contracts import BY_NAME

SUBSCRIPTIONS = BY_NAME["subscriptions"]
USAGE = BY_NAME["usage_agg_30d"]
PAYMENTS = BY_NAME["payments_agg_90d"]
