"""The results as tables and charts, in the documents between two markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from chart import bars, least_middle_most, number

# Which rows stand together; a row that nobody has written down is left out, one that no group names stands last.
GROUPS: dict[str, list[str]] = {
    "Start": [
        "server start, s",
        "server start with its pool full, s",
        "first session: usable, s",
        "first session: first count answered, s",
        "second session: usable, s",
        "second session: first count answered, s",
        "4 sessions at once, s",
        "16 sessions at once, s",
    ],
    "Work": [
        "no-op p50, ms",
        "no-op p95, ms",
        "100 calculations back to back, s",
        "10 MB of stdout",
        "10 MB of stdout, s",
        "10 MB of stdout, as installed",
        "100 MB of stdout",
        "100 MB of stdout, s",
        "cancel a loop, s",
        "cancel a Spark job, s",
    ],
    "Memory, proportional set size": [
        "server without a session, MB",
        "server with its pool full, MB",
        "first session adds, MB",
        "another idle session adds, MB",
        "4 sessions at once: all processes, MB",
        "16 sessions at once: all processes, MB",
    ],
    "kill -9 of the server while a statement runs": [
        "kill -9 of the server: the outcome",
        "kill -9 of the server: the session",
        "kill -9 of the server: left running",
        "kill -9 of the server: outcome read after, s",
    ],
}
CHARTS = {
    "first-count": (
        "From nothing to the first spark.range(10).count()",
        "second session: first count answered, s",
        "s",
    ),
    "no-op": ("A calculation of nothing, as its client sees it (p50)", "no-op p50, ms", "ms"),
    "at-once": ("Four sessions at once, until all have their first count", "4 sessions at once, s", "s"),
    "memory": ("What another idle session adds", "another idle session adds, MB", "MB"),
}
IN_README = {
    "second session: first count answered, s": "a session, from nothing to its first count",
    "no-op p50, ms": "a calculation of nothing, p50",
    "cancel a loop, s": "cancel of `while True: pass`, until the next one ran",
    "100 MB of stdout": "100 MB of stdout",
    "kill -9 of the server: the outcome": "`kill -9` of the server: the running statement's outcome",
}
README_PEERS = ["ergane", "pyspark", "jupyter", "gateway", "connect", "sail", "livy"]
OURS = "ergane"

Results = dict[str, Any]


def tables(results: Results) -> str:
    """Everything, as markdown."""
    rows, peers = results["rows"], results["peers"]
    named = {row for group in GROUPS.values() for row in group}
    out = [f"Measured on {results['date']}: {results['machine']}; {results['repetitions']} repetitions, in turn.", ""]
    out += ["| | version | how |", "|---|---|---|"]
    out += [f"| {p['title']} | {p['version']} | {p['about']} |" for p in peers.values()]
    for group, names in [*GROUPS.items(), ("Ergane through other clients", [r for r in rows if r not in named])]:
        present = [r for r in names if r in rows and r != "went wrong"]
        columns = [p for p in peers if any(p in rows[r] for r in present)]
        if not present:
            continue
        out += ["", f"### {group}", ""]
        out += ["| | " + " | ".join(peers[p]["title"] for p in columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for r in present:
            out.append(f"| {r} | " + " | ".join(cell(rows[r], p) for p in columns) + " |")
    wrong = rows.get("went wrong", {})
    if wrong:
        out += ["", "What went wrong meanwhile:", ""]
        out += [f"- {peers[p]['title']}: {'; '.join(dict.fromkeys(said))}" for p, said in wrong.items()]
    out += ["", *(f"![{title}](img/{name}.svg)" for name, (title, row, _) in CHARTS.items() if numbers(rows, row))]
    out += ["", "Commands:", "", "```"]
    out += [f"{p['title']}: {command}" for p in peers.values() for command in p["commands"]]
    return "\n".join([*out, "```"])


def cell(row: dict[str, list[Any]], peer: str) -> str:
    """Least, middle and most, and how many times ours; or the words."""
    values = row.get(peer)
    if not values:
        return "-"
    figures = [v for v in values if not isinstance(v, str)]
    words = list(dict.fromkeys(v for v in values if isinstance(v, str)))
    said = []
    if figures:
        said.append(" / ".join(number(v) for v in least_middle_most(figures)))
        ours = [v for v in row.get(OURS, []) if not isinstance(v, str)]
        if peer != OURS and ours and (base := least_middle_most(ours)[1]) > 0:
            said[0] += f" (x {number(least_middle_most(figures)[1] / base)})"
    return "; ".join(
        said + [f"{w} ({values.count(w)} of {len(values)})" if figures or len(words) > 1 else w for w in words]
    )


def numbers(rows: dict[str, dict[str, list[Any]]], row: str) -> dict[str, list[float]]:
    found = {p: [v for v in values if not isinstance(v, str)] for p, values in rows.get(row, {}).items()}
    return {p: values for p, values in found.items() if values}


def readme_table(results: Results) -> str:
    rows, peers = results["rows"], results["peers"]
    columns = [p for p in README_PEERS if p in peers]
    out = ["| | " + " | ".join(peers[p]["title"] for p in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row, words in IN_README.items():
        cells = []
        for p in columns:
            values = rows.get(row, {}).get(p, [])
            figures = [v for v in values if not isinstance(v, str)]
            unit = row.rpartition(", ")[2]
            if figures:
                cells.append(f"{number(least_middle_most(figures)[1])} {unit}")
            else:
                cells.append("; ".join(dict.fromkeys(values)) or "-")
        out.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def write(results: Results, root: Path) -> None:
    """Put the tables and charts where the documents have a place for them."""
    images = root / "docs" / "img"
    images.mkdir(parents=True, exist_ok=True)
    for name, (title, row, unit) in CHARTS.items():
        found = numbers(results["rows"], row)
        if found:
            lines = [(results["peers"][p]["title"], p.startswith(OURS), found[p]) for p in found]
            (images / f"{name}.svg").write_text(bars(title, unit, lines))
    between(root / "docs" / "performance.md", tables(results))
    between(root / "README.md", readme_table(results))


def between(path: Path, text: str) -> None:
    """Replace what stands between the markers."""
    pattern = r"(<!-- peers:begin[^>]*-->\n).*?(<!-- peers:end -->)"
    new, n = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", path.read_text(), flags=re.DOTALL)
    if n != 1:
        raise ValueError(f"{path} has {n} places for the peers' table")
    path.write_text(new)
