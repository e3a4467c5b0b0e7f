"""Translates IPython's syntax to Python's, line by line."""

from __future__ import annotations

from IPython.core.inputtransformer2 import TransformerManager


class LineKeeper(TransformerManager):
    """A magic or a command of several lines becomes one line: blank lines after it keep the line numbers."""

    def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
        changed, result = super().do_one_token_transform(lines)
        missing = len(lines) - len(result)
        if missing > 0:
            same = next((n for n, (old, new) in enumerate(zip(lines, result, strict=False)) if old != new), len(result))
            result[same + 1 : same + 1] = ["\n"] * missing
        return changed, result
