"""The webserver: Dagster's UI and its GraphQL API behind the admission.

Here: `python -m churn_platform.automation.webserver`, which takes the place of the program `dagster-webserver`, since
that lets nobody put anything in front. Its options have the names of that program's, also as `DAGSTER_WEBSERVER_*`
variables. Not here: who is let in (`web.admission`), or the daemon.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from churn_platform.automation.instance import answering
from churn_platform.faults import entrance
from churn_platform.settings import Settings, begin
from churn_platform.web.admission import Admission
from churn_platform.web.token import api_token

_DATABASE = {"statement_timeout": 15_000, "pool_recycle": 3600, "max_overflow": 20}
"""How the UI uses Dagster's storage: the defaults of `dagster-webserver`, in milliseconds, seconds and connections."""
_POLL = 2000
"""How often the UI asks for news of assets, in milliseconds: the default of `dagster-webserver`."""


def serve(settings: Settings, host: str, port: int, workspace: Path) -> None:
    """Answer until SIGINT or SIGTERM. Raises StorageError and TokenError."""
    import dagster as dg
    import uvicorn
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    from churn_platform.automation.dagster_private import WorkspaceFileTarget, WorkspaceProcessContext

    token = api_token(settings)
    with answering(settings), dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(**_DATABASE)
        target = WorkspaceFileTarget([str(workspace)])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            application = create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL)
            uvicorn.run(
                Admission(application, token, settings.host_names),
                host=host,
                port=port,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
            )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="The port to listen on.")
@click.option(
    "--workspace",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The file that names the code server.",
)
def main(host: str, port: int, workspace: Path) -> None:
    """Dagster's UI and GraphQL API, for this machine's own pages and programs, and for whoever has the token."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with entrance():
        serve(begin(), host, port, workspace)


if __name__ == "__main__":
    main(auto_envvar_prefix="DAGSTER_WEBSERVER")
