"""Evidence: how often the platform is right in simulated worlds whose truth is known: `make evidence`.

Each world's answers are kept in a folder that is named after the code that can change them, so that a run that was cut
off goes on where it was, and other code begins anew. Everything follows from the seeds. Prints JSON, and writes a page
for people and the record that model cards read.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import msgspec

from benchmarks.evidence import code, page
from benchmarks.evidence.asking import MONTHS, QUICK_MONTHS
from benchmarks.evidence.claims import broken
from benchmarks.evidence.kept import Kept
from benchmarks.evidence.rates import Measured, measured
from churn_platform.cards.evidence import EvidenceRecord

RECORD = code.ROOT / "churn_platform" / "cards" / "evidence.json"
PAGE = code.ROOT / "docs" / "evidence.md"


def main() -> None:
    """Run what is not there yet, and say what came out. Ends with 1 where a rate breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path(".evidence"), help="where each world's answers are kept")
    parser.add_argument("--processes", type=int, default=1, help="how many worlds are made at a time")
    parser.add_argument("--quick", action="store_true", help="a few small worlds only, and nothing is written")
    parser.add_argument("--so-far", action="store_true", help="ask nothing more: write of what is done")
    options = parser.parse_args()
    name = code.name()
    kept = Kept(options.kept / name, options.quick)
    if not options.so_far:
        kept.work_out(options.processes)
    found = measured((place.customers, answered.answers) for place, answered in kept.there())
    record = _record(name, kept, found)
    print(msgspec.json.encode(record).decode())
    if not options.quick:
        RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        PAGE.write_text(page.written(record))
    if failed := [*broken(found, quick=options.quick or options.so_far)]:
        raise SystemExit(f"not as promised: {'; '.join(failed)}")


def _record(name: str, kept: Kept, found: list[Measured]) -> EvidenceRecord:
    there = list(kept.there())
    sizes = sorted({place.customers for place, _ in there})
    return EvidenceRecord(
        code=name,
        commit=commit(),
        months=QUICK_MONTHS if kept.quick else MONTHS,
        worlds={size: len({place.seed for place, _ in there if place.customers == size}) for size in sizes},
        seconds={size: round(sum(a.seconds for place, a in there if place.customers == size)) for size in sizes},
        findings=tuple(one.finding for one in found),
    )


def commit() -> str:
    """The checkout's commit; `unknown` where there is none."""
    asked = subprocess.run(
        ["git", "-C", str(code.ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
