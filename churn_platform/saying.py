"""Saying: what a command prints. Whatever it quotes, it only prints.

Here: a sentence is wrapped between words on a terminal, and is one line elsewhere, for programs; records as JSON. Not
here: the sentences, or what is being worked on (`progress`).
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap

import click
import msgspec

from churn_platform.shown import as_text


def say(sentence: object, *, err: bool = False) -> None:
    """Print a sentence. On a terminal its further lines are indented; a word longer than a line is left whole."""
    text = as_text(sentence)
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        indent = " " * (len(text) - len(text.lstrip()) + 4)
        lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        text = "\n".join(lines)
    click.echo(text, err=err)


def say_json(found: object) -> None:
    """Print a record as JSON in ASCII, which every terminal shows as it is."""
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
