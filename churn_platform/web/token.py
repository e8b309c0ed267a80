"""The token: what a caller shows to be let in.

Here: making it and reading it. Not here: comparing it with what a caller shows (`admission`, `serving.access`).
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.settings import Settings


class TokenError(Fault):
    """The token's file cannot be made or read; the message says which file and why, but nothing that is in it."""


def api_token(settings: Settings) -> str:
    """The bearer token: `CHURN_API_TOKEN`, or the one in `CHURN_HOME/api_token`, which is made when absent.

    Only its owner can read the file. Of several processes that make it at once one wins, and all use its token.
    Raises TokenError.
    """
    if token := settings.api_token.get_secret_value():
        return token
    path = settings.token_file
    try:
        if not path.exists():
            _make_token(path)
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise TokenError(
            f"the API's token {path} cannot be made or read: {reason}; correct that, or set CHURN_API_TOKEN"
        ) from error
    if not token:
        raise TokenError(f"the API's token {path} is empty: remove the file, or set CHURN_API_TOKEN")
    return token


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".api_token.", dir=path.parent)  # mode 600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        os.link(temporary, path)  # fails where another process was faster; a rename would replace its token
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
