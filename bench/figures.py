"""How a row of figures is printed."""

from __future__ import annotations

import statistics
import sys


def row(what: str, values: list[float], unit: str, tail: bool = False) -> None:
    """One line: min, median and max, or median and 99th percentile."""
    values = sorted(values)
    middle = statistics.median(values)
    if tail:
        high = values[min(len(values) - 1, int(len(values) * 0.99))]
        print(f"{what:72} p50 {middle:.1f}  p99 {high:.1f} {unit}  (n={len(values)})")
    else:
        print(f"{what:72} {values[0]:.2f} / {middle:.2f} / {values[-1]:.2f} {unit}  (min/p50/max, n={len(values)})")
    sys.stdout.flush()
