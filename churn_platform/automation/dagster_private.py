"""Dagster's private names: what the platform needs of Dagster beyond its public interface, and why.

Here: every import from a module of Dagster whose name begins with an underscore, and every private member of its
classes that one of ours inherits. Not here: what is done with them. An upgrade may move any of them without notice;
`unit/test_private_names.py` says which ones it has moved and what needs them.

It imports Dagster, so programs that must start at once import it inside functions, as they do Dagster. Hence the one
private name elsewhere: the daemon's module, which `local.programs` starts by name.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher, deserialize_value

# `execute_run_iterator` takes a job that other processes could load, or this: one that only this process has.
from dagster._core.definitions.job_base import InMemoryJob as InMemoryJob

# Definitions are the only repository of their location; part of where a job comes from.
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME as SINGLETON_REPOSITORY_NAME

# What `define_asset_job` returns: its type has no public name.
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
)

# Which month's checks to look up; the storage's public method takes it.
from dagster._core.event_api import PartitionKeyFilter as PartitionKeyFilter

# Executes a run that exists, as the process of a launched run does. The public `execute_in_process` makes its run
# itself and leaves out where the job comes from; the UI leaves such runs out of its timeline and of their job's page.
from dagster._core.execution.api import execute_run_iterator as execute_run_iterator

# Which steps of a run are next: `end_every_run` says why.
from dagster._core.execution.plan.active import ActiveExecution as ActiveExecution

# What a launcher answers to run monitoring: part of what a custom launcher has to implement.
from dagster._core.launcher.base import CheckRunHealthResult as CheckRunHealthResult
from dagster._core.launcher.base import WorkerStatus as WorkerStatus

# Where a job comes from.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin as RegisteredCodeLocationOrigin
from dagster._core.remote_origin import RemoteJobOrigin as RemoteJobOrigin
from dagster._core.remote_origin import RemoteRepositoryOrigin as RemoteRepositoryOrigin

# The statuses of runs that are waiting or running: a list of our own would miss a new one.
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES as NOT_FINISHED_STATUSES

# The tags by which Dagster itself recognises retries and the code server that started a run.
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG as AUTO_RETRY_RUN_ID_TAG
from dagster._core.storage.tags import GRPC_INFO_TAG as GRPC_INFO_TAG
from dagster._core.storage.tags import MAX_RETRIES_TAG as MAX_RETRIES_TAG
from dagster._core.storage.tags import PARENT_RUN_ID_TAG as PARENT_RUN_ID_TAG
from dagster._core.storage.tags import ROOT_RUN_ID_TAG as ROOT_RUN_ID_TAG
from dagster._core.storage.tags import WILL_RETRY_TAG as WILL_RETRY_TAG

# What the program `dagster-webserver` makes its application from. It has no option to put anything in front of it.
from dagster._core.workspace.context import WorkspaceProcessContext as WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget as WorkspaceFileTarget

# The type of an argument that a storage's `from_config_value` gets and passes on.
from dagster._serdes import ConfigurableClassData as ConfigurableClassData

# Hold Ctrl-C back while a run is being made, until it executes and Ctrl-C can end it; and say whether there was one.
from dagster._utils.interrupts import capture_interrupts as _capture_interrupts
from dagster._utils.interrupts import check_captured_interrupt

# Every error that Dagster stores or shows, whoever raised it and wherever, is made by this class from a traceback.
from dagster_shared.error import SerializableErrorInfo as SerializableErrorInfo

from churn_platform.telling import safe

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.events import DagsterEvent
    from dagster._core.execution.context.system import PlanExecutionContext, PlanOrchestrationContext
    from dagster._grpc.client import DagsterGrpcClient


_from_traceback = SerializableErrorInfo.from_traceback.__func__  # type: ignore[attr-defined]  # a class's method has it


def blank_errors() -> None:
    """Have this process's Dagster keep errors as `telling` tells them. A second time does nothing.

    Dagster has no place for that: it can only leave out all errors of a run (`DAGSTER_REDACT_USER_CODE_ERRORS`).
    """
    SerializableErrorInfo.from_traceback = classmethod(_safe)  # type: ignore[assignment, method-assign]


def _safe(kind: type[SerializableErrorInfo], found: traceback.TracebackException) -> SerializableErrorInfo:
    made: SerializableErrorInfo = _from_traceback(kind, found)  # those that caused it come by this function too
    stack = [safe(line) for line in made.stack]
    return kind(safe(made.message), stack, made.cls_name, made.cause, made.context)


_plan_events = ActiveExecution.plan_events_iterator


def end_every_run() -> None:
    """Have this process's Dagster end runs in which some steps fail and others are skipped. A second time does nothing.

    A step that waits for both is skipped only once what failed is given up, after which Dagster skips nothing any more:
    it looks for the next step for ever, and no signal ends that.
    """
    ActiveExecution.plan_events_iterator = _all_plan_events  # type: ignore[method-assign]


def _all_plan_events(
    self: ActiveExecution, job_context: PlanExecutionContext | PlanOrchestrationContext
) -> Iterator[DagsterEvent]:
    yield from _plan_events(self, job_context)
    while self._pending_skip or self._pending_abandon:
        yield from _plan_events(self, job_context)


@contextmanager
def capture_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back while the block runs; what it yields says whether there was one, and has to be asked in time.

    Dagster's own would have SIGTERM do from then on what SIGINT does, which is nothing in a shell's background.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        with _capture_interrupts():
            yield check_captured_interrupt
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class Launcher(DefaultRunLauncher):
    """Dagster's default launcher, with the private parts of it that a custom launcher needs."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """The instance whose runs it launches."""
        return self._instance

    def server_has(self, run_id: str) -> bool | None:
        """Whether the code server that started a run still has it; None where the run is over, or nobody answers.

        The server is asked whether it could cancel the run: Dagster offers no better question.
        """
        from dagster._core.errors import DagsterUserCodeUnreachableError
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

        client: DagsterGrpcClient | None = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return None
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=10)
        except DagsterUserCodeUnreachableError:
            return None
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel
