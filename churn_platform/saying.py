"""Saying: a command's sentences on stdout.

Here: a sentence is wrapped between words on a terminal, and is one line elsewhere, for programs. Not here: the
sentences, or what is being worked on (`progress`).
"""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


def say(sentence: object) -> None:
    """Print a sentence. On a terminal its further lines are indented; a word longer than a line is left whole."""
    text = str(sentence)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        indent = " " * (len(text) - len(text.lstrip()) + 4)
        lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        text = "\n".join(lines)
    click.echo(text)
