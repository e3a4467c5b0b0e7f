"""Figures of matplotlib as images."""

from __future__ import annotations

import io
from typing import Any


def png(figure: Any) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", bbox_inches="tight")
    return image.getvalue()
