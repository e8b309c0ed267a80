"""Assets: thin Dagster adapters. Each reads, calls a pure function, writes, and reports what a person wants to see.

Not here: table logic, models, decisions; they are testable without Dagster, in the modules beside this package.
"""

import warnings

import dagster as dg

# Dagster's beta and preview features are pinned by the lock file, so no upgrade changes them unnoticed.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
