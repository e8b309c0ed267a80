"""A daemon for tests: it ticks sensors and launches what they request, as Dagster's own does, and can die in between.

Here: one tick, one launch, and runs in any state. Not here: what sensors should answer (the tests).
"""

from __future__ import annotations

import dagster as dg

from churn_platform.definitions import build_defs
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform_tests.dagster_private import RUN_KEY_TAG


class Daemon:
    """One platform's daemon. A new one on the same instance knows nothing of the old one: no cursor, no memory."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance
        self._definitions = build_defs(settings)

    def tick(self, sensor: str) -> dg.RunRequest | str:
        """Evaluate a sensor: what it requests, or why it requests nothing."""
        definition = self._definitions.resolve_sensor_def(sensor)
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=self._definitions.get_repository_def(),
            sensor_name=sensor,
            resources={"home": Home(self.settings)},
        ) as context:
            found = definition.evaluate_tick(context)
        assert found.cursor is None
        assert not (found.run_requests and found.skip_message)
        if not found.run_requests:
            assert found.skip_message
            return found.skip_message
        (request,) = found.run_requests
        return request

    def requested(self, sensor: str) -> dg.RunRequest:
        """What a sensor requests that Dagster has not yet started a run for."""
        request = self.tick(sensor)
        assert isinstance(request, dg.RunRequest), request
        assert not self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: request.run_key or ""}))
        return request

    def skipped(self, sensor: str) -> str:
        """Why a sensor requests nothing."""
        reason = self.tick(sensor)
        assert isinstance(reason, str), reason
        return reason

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what was requested to its end, whether it succeeds or fails."""
        return self._definitions.resolve_job_def(request.job_name or "").execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=self._tags(request),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def pretend(self, request: dg.RunRequest, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        """A run for this request that has got to this status without doing anything."""
        run = dg.DagsterRun(
            job_name=request.job_name or "",
            status=status,
            tags={**self._tags(request), **{name.replace("__", "/"): value for name, value in tags.items()}},
        )
        return self.instance.add_run(run)

    def _tags(self, request: dg.RunRequest) -> dict[str, str]:
        return {
            **request.tags,
            "dagster/partition": request.partition_key or "",
            RUN_KEY_TAG: request.run_key or "",
        }
