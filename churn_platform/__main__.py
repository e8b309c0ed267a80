"""Where the command `churn`, or `python -m churn_platform`, begins and ends.

Here: answering Ctrl-C while the command line is still being loaded, and once it is done. Not here: the commands, or
Ctrl-C while one of them works (`cli`).
"""

from __future__ import annotations

import signal

from churn_platform.faults import entrance


def main() -> None:
    """Run the command line."""
    try:
        with entrance():
            from churn_platform.cli import main as commands

            commands()
    finally:
        # Python waits for threads now; Ctrl-C would only print where it waits, and ends the process all the same.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
