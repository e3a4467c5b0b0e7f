"""A bar chart as SVG: a bar as long as the median, a line from the least to the most."""

from __future__ import annotations

from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 190, 150, 30, 44
OURS, OTHERS, INK = "#1f6feb", "#8b949e", "#24292f"


def bars(title: str, unit: str, rows: list[tuple[str, bool, list[float]]]) -> str:
    """One bar per row: its name, whether it is ours, and what was measured."""
    most = max(max(values) for _, _, values in rows)
    scale = (WIDTH - LEFT - RIGHT) / most if most else 0
    height = TOP + ROW * len(rows) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="bold" fill="{INK}">{escape(title)}</text>',
    ]
    for i, (name, ours, values) in enumerate(rows):
        y = TOP + ROW * i
        low, middle, high = least_middle_most(values)
        x = [LEFT + scale * v for v in (low, middle, high)]
        out += [
            f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end" fill="{INK}">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{max(1, x[1] - LEFT):.1f}" height="18" '
            f'fill="{OURS if ours else OTHERS}"/>',
            f'<path d="M{x[0]:.1f} {y + 12}H{x[2]:.1f}M{x[0]:.1f} {y + 8}v8M{x[2]:.1f} {y + 8}v8" stroke="{INK}"/>',
            f'<text x="{x[2] + 8:.1f}" y="{y + 16}" fill="{INK}">{number(middle)} {escape(unit)}</text>',
        ]
    return "\n".join([*out, "</svg>", ""])


def least_middle_most(values: list[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return ordered[0], middle, ordered[-1]


def number(value: float) -> str:
    """Two digits that mean something, three from a hundred on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
