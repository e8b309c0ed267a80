"""Where the command `churn`, or `python -m churn_platform`, begins and ends.

Here: refusing a Python that is too old, how often garbage is looked for, answering Ctrl-C while the command line is
still being loaded, and once it is done. Not here: the commands, or Ctrl-C while one of them works (`cli`). Nothing else
is imported before the refusal.
"""

from __future__ import annotations

import gc
import signal
import sys

YOUNG = 50_000
"""How many new objects there are before Python looks for cycles among them.

With its own 700, closing a month spends an eighth of its time on that, since libraries make a million that stay.
"""


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036  # pip says so too, but not to whoever calls `python3.10 -m`
        version = ".".join(str(number) for number in sys.version_info[:3])
        sys.exit(f"Error: churn needs Python 3.11 or newer, and this is {version}: call it with a newer one")

    gc.set_threshold(YOUNG)
    from churn_platform.faults import entrance

    try:
        with entrance():
            from churn_platform.cli import main as commands

            commands()
    finally:
        # Python waits for threads now; Ctrl-C would only print where it waits, and ends the process all the same.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
