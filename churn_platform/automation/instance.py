"""The instance: Dagster's own storage and behaviour, generated from the settings.

Here: `dagster.yaml` and the environment that Dagster reads. Not here: definitions, or running anything.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_platform.lake import replacing
from churn_platform.settings import Settings

if TYPE_CHECKING:
    import dagster as dg


def configuration(settings: Settings) -> dict[str, Any]:
    """What `dagster.yaml` says."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # a fresh instance would greet with a newsletter dialog
    }


def prepare(settings: Settings) -> Path:
    """Write `dagster.yaml` where it is missing or out of date, and point Dagster to it. Gives Dagster's home."""
    import yaml

    text = "# Generated from CHURN_* settings; changes are overwritten.\n" + yaml.safe_dump(configuration(settings))
    file = settings.dagster_home / "dagster.yaml"
    if not file.exists() or file.read_text() != text:
        with replacing(file) as temporary:
            temporary.write_text(text)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    return settings.dagster_home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the command line share."""
    import dagster as dg

    prepare(settings)
    return dg.DagsterInstance.get()
