"""Generation: the next month's synthetic drop, written by the simulation in a process of its own.

Here: starting it and reading what it says. Not here: the simulation (`churn_platform.simulation`), whose numbers would
hold up the predictions if they were computed in this process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import msgspec

from churn_platform.settings import Settings
from serving.messages import Generated, GenerateRequest
from serving.problems import ProblemError

log = logging.getLogger(__name__)

_SECONDS = 120.0
_FAULT = b"Error: "
"""How the simulation's sentence begins where it refuses; a bug's traceback begins differently."""


class Generator:
    """Writes one drop at a time; `simulated` says whether the company is the one that can be simulated."""

    def __init__(self, settings: Settings, *, simulated: bool) -> None:
        self.simulated = simulated
        self._drops = str(settings.drops)
        # The simulation reads settings for itself, and must read these, wherever they came from.
        self._told = {
            "CHURN_HOME": str(settings.home),
            "CHURN_DROPS": self._drops,
            "CHURN_FIRST_MONTH": str(settings.first),
            "CHURN_COMPANY": str(settings.company or ""),
        }
        self._busy = asyncio.Lock()

    async def generate(self, asked: GenerateRequest) -> Generated:
        """Write the month after the newest drop. Raises ProblemError.

        409 while another month is being written, where the month has a drop already, and for a company that cannot be
        simulated; 500 where the simulation fails.
        """
        if self._busy.locked():
            raise ProblemError(409, "conflict", "Another month is being generated already.")
        arguments = ["--out", self._drops, "--next", "--customers", str(asked.samples)]
        if asked.wanted is not None:
            arguments += ["--shock", asked.wanted]
        async with self._busy:
            status, output, errors = await self._simulate(*arguments)
        if status == 1 and errors.startswith(_FAULT):
            raise ProblemError(409, "conflict", errors.removeprefix(_FAULT).decode(errors="replace").strip())
        if status != 0:
            log.error("the simulation failed: %s", errors.decode(errors="replace"))
            raise ProblemError(500, "not_generated", "The simulation failed; the service's log says why.")
        written = msgspec.json.decode(output.splitlines()[-1], type=Generated)
        return msgspec.structs.replace(written, shock=asked.wanted, drift=asked.wanted)

    async def _simulate(self, *arguments: str) -> tuple[int | None, bytes, bytes]:
        """Run the simulation; its exit code and what it wrote to stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "churn_platform.simulation"),  # -P: no module comes from the current folder
            *arguments,
            env={**os.environ, **self._told},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                output, errors = await process.communicate()
        except BaseException:  # too slow, or this program is ending
            process.kill()
            raise
        return process.returncode, output, errors
