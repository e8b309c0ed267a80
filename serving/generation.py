"""Generation: the next month's synthetic drop, written by the simulation in a process of its own.

Here: starting it and reading what it says. Not here: the simulation (`churn_platform.simulation`), whose numbers would
hold up the predictions if they were computed in this process.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from churn_platform.months import Month
from churn_platform.settings import Settings
from serving.messages import Generated, GenerateRequest
from serving.problems import Problem

log = logging.getLogger(__name__)

_SECONDS = 120.0


class Generator:
    """Writes one drop at a time."""

    def __init__(self, settings: Settings) -> None:
        self._drops = settings.drops
        self._first = settings.first
        self._busy = asyncio.Lock()

    async def generate(self, asked: GenerateRequest) -> Generated:
        """Write the month after the newest drop. Raises Problem 409 while another is being written, and 500."""
        if self._busy.locked():
            raise Problem(409, "conflict", "A month is being generated already.")
        async with self._busy:
            command = ["--out", str(self._drops), "--next", "--customers", str(asked.samples)]
            if asked.drift is not None:
                command += ["--shock", f"{next_month(self._drops, self._first)}:{asked.drift}"]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "churn_platform.simulation",
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(_SECONDS):
                    output, errors = await process.communicate()
            except BaseException:  # too slow, or this program is ending
                process.kill()
                raise
        if process.returncode != 0:
            log.error("the simulation failed: %s", errors.decode(errors="replace"))
            raise Problem(500, "not_generated", "The simulation failed; the service's log says why.")
        written = msgspec.json.decode(output.splitlines()[-1], type=Generated)
        return msgspec.structs.replace(written, drift=asked.drift)


def next_month(drops: Path, first: Month) -> Month:
    """The month after the newest drop in a folder; the first one where there is none."""
    names = [path.name for path in drops.iterdir() if path.is_dir()] if drops.is_dir() else []
    delivered = [month for name in names if (month := Month.of_folder(name, first)) is not None]
    return max(delivered) + 1 if delivered else first
