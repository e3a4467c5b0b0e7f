"""Compiles source text. What is valid Python is compiled unchanged; only the rest goes through IPython."""

from __future__ import annotations
import __future__

from ast import Expr, Expression, Module, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST, expr
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType

from .tracebacks import USER_FILE

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


@dataclass(frozen=True)
class Program:
    body: CodeType
    last: CodeType | None  # the last expression, to be shown; None: there is none, or it ends with `;`


class Compiler:
    """Keeps `from __future__` imports from block to block, as the interactive interpreter does."""

    def __init__(self, transform: Callable[[str], str]) -> None:
        self._transform = transform
        self._flags = PyCF_ALLOW_TOP_LEVEL_AWAIT

    def compile(self, source: str) -> Program:
        """Raises what Python's compiler raises: SyntaxError, ValueError, MemoryError, …"""
        source, module = self._parse(source)
        last: expr | None = None
        if module.body and isinstance(module.body[-1], Expr) and not _ends_with_semicolon(source, module.body[-1]):
            last = module.body.pop().value  # type: ignore[attr-defined]
        body = self._code(module, "exec")
        self._flags |= body.co_flags & _FUTURE
        return Program(body, self._code(Expression(last), "eval") if last is not None else None)

    def _parse(self, source: str) -> tuple[str, Module]:
        error: SyntaxError
        try:
            return source, self._tree(source)
        except SyntaxError as plain:
            error = plain
        transformed = self._transformed(source)
        if transformed is None:
            raise error
        try:
            return transformed, self._tree(transformed)
        except SyntaxError:
            if "get_ipython()" not in transformed:
                raise error from None  # it has no magic: the error of the unchanged source is the right one
            raise

    def _transformed(self, source: str) -> str | None:
        """IPython's translation of source, with the same line numbers; None if it changes nothing."""
        lines = source.splitlines(keepends=True)
        leading = next((n for n, line in enumerate(lines) if line.strip()), 0)
        first = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
        if first > leading and lines[first].lstrip().startswith("%%"):
            leading, source = first, "".join(lines[first:])  # IPython does not recognize a cell magic below a comment
        try:
            result = self._transform(source)
        except Exception:
            return None  # its tokenizer failed: Python's error is the one to show
        return "\n" * leading + result

    def _tree(self, source: str) -> Module:
        tree = compile(source, USER_FILE, "exec", self._flags | PyCF_ONLY_AST, dont_inherit=True)
        assert isinstance(tree, Module)
        return tree

    def _code(self, tree: Module | Expression, mode: str) -> CodeType:
        code: CodeType = compile(tree, USER_FILE, mode, self._flags, dont_inherit=True)
        return code


def _ends_with_semicolon(source: str, last: Expr) -> bool:
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    line = source.replace("\r\n", "\n").split("\n")[last.end_lineno - 1].encode()[last.end_col_offset :]
    return line.lstrip(b" \t)").startswith(b";")
