"""Decisions: what people decide about the champion and the automation, each a run in this process.

Here: deciding, and recognising a decision that was cut off, so that the same command finishes it. Not here: what a
decision does (`champion.promotion`), running it (`runs`), or the words on the screen (`cli`).
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

from churn_platform.automation.instance import answering
from churn_platform.champion.receipts import Receipt
from churn_platform.files.owners import lives
from churn_platform.local.runs import Runs

if TYPE_CHECKING:
    import dagster as dg

_TOLD_TAG = "churn/told"


class Decisions:
    """A person's decisions, with the runs that carry them out."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._decided: dg.DagsterRun | None = None

    def promote(self, version: int, reason: str) -> Receipt:
        """Make a version champion on a person's decision. Raises RunFailedError."""
        return self._decide("appoint_champion", "appoint", reason, version=version)

    def roll_back(self, reason: str) -> Receipt:
        """Return to the version that served before. Raises RunFailedError."""
        return self._decide("roll_back_champion", "roll_back", reason)

    def pause(self, reason: str) -> Receipt:
        """Let no promotion or retraining begin by itself. Raises RunFailedError."""
        return self._decide("pause_automation", "pause", reason)

    def resume(self, reason: str) -> Receipt:
        """End a pause. Raises RunFailedError."""
        return self._decide("resume_automation", "resume", reason)

    def _decide(self, job: str, op: str, reason: str, **asked: Any) -> Receipt:
        """A person's decision. If the last one like it was cut off, this is the same one, run again."""
        config = {op: {"config": {"reason": reason, "by": getpass.getuser(), **asked}}}
        run = self._decided = self._runs.run(job, config=config, again=self._cut_off(job, op, asked))
        made = self._runs.home.ledger.of_decision(run.root_run_id or run.run_id)
        assert made is not None, f"run {run.run_id} ended well without a receipt"
        return made

    def told(self) -> None:
        """Remember that a person has seen the last decision: the same command then asks for a new one."""
        if self._decided is not None:
            with answering(self._runs.home.settings):
                self._runs.instance.add_run_tags(self._decided.run_id, {_TOLD_TAG: "yes"})

    def _cut_off(self, job: str, op: str, asked: dict[str, Any]) -> dg.DagsterRun | None:
        """The newest run of a decision, if it asked for the same, was cut off, and no later decision has replaced it.

        A command that was killed after its run, but before it said so, was cut off too.
        """
        import dagster as dg

        from churn_platform.automation.launcher import PROCESS_TAG

        with answering(self._runs.home.settings):
            newest = self._runs.instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
        for run in newest:
            process = run.tags.get(PROCESS_TAG)  # none where Dagster's own server runs it
            running = lives(process) if process else not run.is_finished
            ended = run.is_success and (process is None or _TOLD_TAG in run.tags)
            config: Any = run.run_config  # a person may have launched it in the UI with anything
            same = {name: config.get("ops", {}).get(op, {}).get("config", {}).get(name) for name in asked} == asked
            if same and not running and not ended and self._runs.home.ledger.stands(run.root_run_id or run.run_id):
                return run
        return None
