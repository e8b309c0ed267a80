"""Access: the settings that say who may ask the platform's web servers, and by which names.

Here: the names of hosts, and the tokens. Not here: what is done with them (`churn_platform.web`, `serving.hosts`,
`serving.access`), or the other settings of those programs (`services`).
"""

from __future__ import annotations

from pydantic import Field, SecretStr

from churn_platform.settings.groups import Group
from churn_platform.settings.kinds import HostNames

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What this machine calls itself."""


class AccessSettings(Group):
    """Who may ask."""

    allowed_hosts: HostNames = Field(
        "",
        description="The names, without ports and separated by commas, by which Dagster, MLflow and serving may be"
        " asked besides those of this machine; serving knows those in `CHURN_SERVING_HOST` and"
        " `CHURN_PUBLIC_SERVING_URL` too. They answer to no other name, so that no page in a browser"
        " can reach them under a name of its own.",
    )
    api_token: SecretStr = Field(
        SecretStr(""),
        description="The admin's token: for `/generate`, `/retrain` and `/erasures`, and for what another machine asks"
        " of Dagster, MLflow and serving; empty for one made under `CHURN_HOME`.",
    )
    contact_token: SecretStr = Field(
        SecretStr(""),
        description="The token of those who contact customers; it opens what `CHURN_READ_TOKEN` opens, too. Empty:"
        " there is none.",
    )
    read_token: SecretStr = Field(
        SecretStr(""),
        description="The token of programs that only read: serving's predictions, features and reports when another"
        " machine asks. Empty: there is none.",
    )

    @property
    def host_names(self) -> frozenset[str]:
        """Every name that a server of the platform may be called by, in small letters and without ports."""
        return LOOPBACK_NAMES | frozenset(self.allowed_hosts.lower().replace(",", " ").split())
