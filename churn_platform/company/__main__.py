"""`python -m churn_platform.company` prints the JSON Schema of declarations: the file `docs/company.schema.json`."""

from __future__ import annotations

import sys

from churn_platform.company.reading import json_schema

sys.stdout.write(json_schema())
