"""The compose file, as tests read it: its services, with their variables resolved as compose does.

Here: parsing and resolving. Not here: what the file should say (`unit/test_compose`), or starting what it says
(`system/test_production`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"

Services = dict[str, dict[str, Any]]

# The innermost of nested variables: ${NAME}, ${NAME:-default} or ${NAME:?message}.
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^${}]*))?\}")


class UnsetError(Exception):
    """A variable that has to be set is not set."""


class _Strict(yaml.SafeLoader):
    """Reads YAML as Docker and GitHub do: a repeated key is an error, while PyYAML would take the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.MarkedYAMLError(
                problem=f"twice in one mapping: {', '.join(twice)}", problem_mark=node.start_mark
            )
        return node


def strictly(text: str) -> dict[Any, Any]:
    """A YAML document. Raises YAMLError."""
    document: dict[Any, Any] = yaml.load(text, _Strict)
    return document


def parsed() -> dict[str, Any]:
    """The whole file, merges done, variables not resolved."""
    return strictly(FILE.read_text())


def services(variables: Mapping[str, str]) -> Services:
    """The services with these variables. A variable in `environment` without a value is passed on or left out."""
    found: Services = resolved(parsed()["services"], variables)
    for service in found.values():
        environment = service.get("environment", {})
        service["environment"] = {
            name: variables.get(name, "") if value is None else str(value)
            for name, value in environment.items()
            if value is not None or name in variables
        }
    return found


def resolved(node: Any, variables: Mapping[str, str]) -> Any:
    """A part of the file with its variables resolved. Raises UnsetError."""
    if isinstance(node, dict):
        return {key: resolved(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [resolved(value, variables) for value in node]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if value := variables.get(name):
            return value
        if kind == "-":
            return text
        raise UnsetError(f"{name}: {text or 'is not set'}")

    text = node
    while (following := _VARIABLE.sub(value_of, text)) != text:
        text = following
    return text


def volumes(service: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """A service's volumes: for each path in the container, what is mounted there, and whether it is read-only."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {target: (source, mode == ["ro"]) for source, target, *mode in parts}


def names_used() -> set[str]:
    """Every variable that the file asks for."""
    found: set[str] = set()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                found.update([key] if value is None and key.isupper() else [])
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)
        elif isinstance(node, str):
            found.update(re.findall(r"\$\{(\w+)", node))

    look(parsed()["services"])
    return found


def example() -> dict[str, str]:
    """What `.env.example` names, with the values that it shows."""
    lines = (line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
