"""Assets: thin Dagster adapters. Each reads, calls a pure function, writes, and reports what a person wants to see.

Not here: table logic, models, decisions; they are testable without Dagster, in the modules beside this package.
"""

import warnings

import dagster as dg

# What is in beta or preview here is named in the lock file, so an upgrade cannot change it unseen.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
