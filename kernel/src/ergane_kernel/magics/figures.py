"""%matplot and %plotly."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from json import loads
from typing import TYPE_CHECKING, Any

from IPython.core.magic import needs_local_scope, no_var_expand

from ..figures import png
from .usage import UsageError

if TYPE_CHECKING:
    from ..shell import Shell

PLOTLY = "application/vnd.plotly.v1+json"


class FigureMagics:
    line = ("matplot", "plotly")

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @needs_local_scope
    @no_var_expand
    def matplot(self, line: str, local_ns: dict[str, Any] | None = None) -> None:
        """Renders a figure of matplotlib as a PNG image.

        %matplot plt    the current figure; a Figure, an Axes, or anything with a `.figure` may stand in place of `plt`
        """
        figure = _figure(self._value(line, local_ns, "%matplot plt"))
        self._shell.display_pub.publish({"image/png": png(figure), "text/plain": repr(figure)})
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close(figure)  # otherwise it would be shown again at the end of the block

    @needs_local_scope
    @no_var_expand
    def plotly(self, line: str, local_ns: dict[str, Any] | None = None) -> None:
        """Renders a figure of plotly.

        %plotly fig    as HTML and as plotly's own JSON; plotly must be there for Python to import
        """
        if "plotly" not in sys.modules and find_spec("plotly") is None:
            raise UsageError(
                "plotly is not installed in this engine: bring it with %pip install plotly, or draw with matplotlib "
                "and %matplot plt"
            )
        figure = self._value(line, local_ns, "%plotly fig")
        if not (hasattr(figure, "to_json") and hasattr(figure, "to_html")):
            raise UsageError(f"%plotly takes a figure of plotly, not an object of the type {type(figure).__name__}")
        data = loads(figure.to_json())
        html = figure.to_html(full_html=False, include_plotlyjs="cdn")
        self._shell.display_pub.publish({PLOTLY: data, "text/html": html, "text/plain": type(figure).__name__})

    def _value(self, line: str, local_ns: dict[str, Any] | None, usage: str) -> Any:
        if not line.strip():
            raise UsageError(f"write {usage}")
        return eval(compile(line.strip(), "<figure>", "eval"), self._shell.user_ns, local_ns)


def _figure(value: Any) -> Any:
    """The Figure of an object that has one."""
    if getattr(value, "__name__", "") in ("matplotlib.pyplot", "pylab", "matplotlib.pylab"):
        if not value.get_fignums():
            raise UsageError("there is no figure: plot something first, in the same block")
        return value.gcf()
    for _ in range(3):  # a grid of seaborn, its axes, their figure
        if hasattr(value, "savefig") and hasattr(value, "canvas"):
            return value
        value = getattr(value, "figure", None) or getattr(value, "fig", None)
    raise UsageError("%matplot takes pyplot, a Figure or an Axes of matplotlib: %matplot plt")
