"""The examples of docs/data.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from harness import ROOT, Athena, running


def test_the_examples_of_the_page(tmp_path: Path) -> None:
    with running(tmp_path, "--catalog", "auto") as server:
        run(Athena(server))


def run(athena: Athena) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "data.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    sessions = athena.session(), athena.session()
    # The first two blocks share a frame; from then on the sessions take turns.
    for turn, block in enumerate(blocks):
        result = athena.run(sessions[0 if turn < 2 else (turn - 1) % 2], block)
        assert result.state == "COMPLETED", block + result.stderr.decode()[-2000:]
