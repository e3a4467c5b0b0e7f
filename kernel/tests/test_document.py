"""docs/kernel-protocol.md says what this kernel speaks; internal/kernel/protocol_internal_test.go is the server's test."""

from __future__ import annotations

import ast
import json
import os
import queue
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ergane_kernel import PROTOCOL
from ergane_kernel.boot import Ahead, Boot, Java, read_boot
from ergane_kernel.claim import Waiting
from ergane_kernel.dispatcher import Dispatcher
from ergane_kernel.facts import Facts, Pip
from ergane_kernel.service import Service
from ergane_kernel.spark import SparkError

KERNEL = Path(__file__).parents[1]
DOCUMENT = (KERNEL.parent / "docs" / "kernel-protocol.md").read_text(encoding="utf-8")
SOURCES = {
    path.name: ast.parse(path.read_text(encoding="utf-8")) for path in (KERNEL / "src" / "ergane_kernel").glob("*.py")
}


def table(name: str) -> list[list[list[str]]]:
    """A table of the document: of each row, the names in each cell."""
    text = DOCUMENT.split(f"\n<!-- {name} -->\n")[1].split("\n\n")[0]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in text.split("\n")[2:]]


def file_row(name: str) -> tuple[set[str], bool]:
    """The fields of a file, and whether it is durable."""
    (row,) = [line for line in DOCUMENT.split("\n") if line.startswith(f"| `work/{name}` | kernel |")]
    fields, unread, durable = row.strip("|").split("|")[2:]
    return set(re.findall(r"`([^`]+)`", fields + unread)), durable.strip() == "yes"


ORDERS = [*table("orders"), *([*row[:3], [], row[3]] for row in table("orders for editors"))]


def test_the_version_is_that_of_the_document_and_written_once() -> None:
    assert f"**Version {PROTOCOL}.**" in DOCUMENT
    for value in values("v"):
        assert isinstance(value, ast.Name) and value.id == "PROTOCOL"


def test_the_document_has_every_order_refusal_and_event() -> None:
    assert {row[0][0] for row in ORDERS} == {"hello", *service("").handlers}
    assert constants("err") == {"unknown op"}.union(*(row[4] for row in ORDERS))
    assert constants("ev") == {row[0][0] for row in table("events")}


@pytest.mark.parametrize("row", ORDERS, ids=lambda row: row[0][0])
def test_an_answer_has_the_fields_of_the_document(row: list[list[str]], tmp_path: Path) -> None:
    op, documented = row[0][0], {*row[2], *row[3]}
    asked = service(str(tmp_path))
    if op == "hello":
        assert {"v", *asked.hello()} == documented
        return
    if op in ("complete", "inspect"):
        function = {"complete": "completions", "inspect": "inspection"}[op]
        assert returned("shell.py", function) == documented
        return
    if op == "claim":
        asked.waiting = SimpleNamespace(claim=lambda: None)  # type: ignore[assignment]
    order(tmp_path)
    asked._dispatcher.open()
    answers: queue.Queue[dict[str, Any]] = queue.Queue()
    asked.handlers[op]({"op": op, "n": 1, "id": "c"}, answers.put)
    assert set(answers.get(timeout=30)) == documented


def test_an_executor_has_the_fields_of_the_document() -> None:
    assert returned("jobs.py", "executors") == {field for cell in table("executor")[0] for field in cell}


def test_a_calculation_leaves_the_files_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ergane_kernel.block", SimpleNamespace(BlockRunner=None))  # it would need IPython
    from ergane_kernel.recorder import Recorder

    order(tmp_path)
    dispatcher, events = Dispatcher(str(tmp_path), lambda _: None), list[dict[str, Any]]()
    dispatcher.open()
    dispatcher.execute("c")
    file = SimpleNamespace(size=lambda: 0, write=lambda _: None, sync=lambda: None)
    spool = SimpleNamespace(stdout=file, stderr=file, repair=lambda: None, flush=lambda: None)
    main, runner = SimpleNamespace(call=lambda f: f()), SimpleNamespace(run=lambda *_: None)

    def end(status: int) -> None:
        raise SystemExit(status)

    recorder = Recorder(dispatcher, main, runner, spool, events.append, end)  # type: ignore[arg-type]
    recorder._keep(dispatcher.next())  # type: ignore[arg-type]
    for name in ("started.json", "outcome.json"):
        document = json.loads((tmp_path / "calc" / "c" / name).read_text())
        assert (set(document), document["v"]) == (file_row(f"calc/<id>/{name}")[0], PROTOCOL)
    with pytest.raises(SystemExit):
        recorder._unrecorded(document, OSError("full"))
    done, unrecorded = events
    assert set(done) == {"ev", *table("events")[-1][1]}
    assert set(unrecorded) == {"ev", "unrecorded", *file_row("calc/<id>/outcome.json")[0]}


def test_a_claim_is_answered_with_the_fields_of_the_document(tmp_path: Path) -> None:
    order(tmp_path)
    (tmp_path / "claim.json").write_text(json.dumps({"v": PROTOCOL, "facts": {"workgroup": "w"}, "spark": {"a": "b"}}))
    answered, taken = set[str](), []

    def refuse(claim: Any) -> None:
        taken.append(claim)
        raise SparkError("name", "value")

    for take in (taken.append, refuse):
        main, threads = SimpleNamespace(call=lambda f: f()), SimpleNamespace(start=lambda f: f())
        Waiting(str(tmp_path), "s", main, threads, take, lambda _: None).claim()  # type: ignore[arg-type]
        answered |= set(json.loads((tmp_path / "claimed.json").read_text()))
    assert answered == file_row("claimed.json")[0]
    assert [(claim.facts.workgroup, claim.spark) for claim in taken] == [("w", {"a": "b"})] * 2


@pytest.mark.parametrize("name", ["ready.json", "driver.json"])
def test_what_spark_does_is_written_with_the_fields_of_the_document(name: str) -> None:
    fields, durable = written(name)
    if name == "driver.json":
        fields |= returned("driver.py", "status")
    assert (fields, durable) == file_row(name)


def test_the_boot_document_is_read_by_the_names_of_the_document() -> None:
    pip = {"config": "i", "settings": "j"}
    facts = {"workgroup": "w", "engine_version": "e", "notebook": "n", "started": 2.0, "pip": pip}
    parts = {
        "java": {"argv": ["a"], "env": {"b": "c"}},
        "facts": facts,
        "pip": pip,
        "ahead": {"store": "s3://s", "catalog": True},
    }
    whole = {
        "v": PROTOCOL,
        "token": "t",
        "session": "s",
        "dir": "d",
        "env": {"e": "f"},
        "spark": {"g": "h"},
        "java": parts["java"],
        "facts": facts,
        "ahead": parts["ahead"],
    }
    assert [set(row[1]) for row in table("boot")] == [set(part) for part in (whole, *parts.values())]
    read, write = os.pipe()
    os.write(write, json.dumps(whole).encode())
    os.close(write)
    java, ahead = Java(["a"], {"b": "c"}), Ahead("s3://s", True)
    assert read_boot(read) == Boot(
        "t", Facts("s", **{**facts, "pip": Pip(**pip)}), "d", {"e": "f"}, java, {"g": "h"}, ahead, 60.0
    )


# ---- the kernel's parts, with nothing around them ----


def service(directory: str) -> Service:
    threads = SimpleNamespace(start=lambda f: threading.Thread(target=f, daemon=True).start())
    return Service(Dispatcher(directory, lambda _: None), SimpleNamespace(), threads, lambda: None)  # type: ignore[arg-type]


def order(directory: Path) -> None:
    """The code of the calculation c."""
    (directory / "calc" / "c").mkdir(parents=True)
    (directory / "calc" / "c" / "code.py").write_text("")


# ---- the kernel's source ----


def dicts(tree: ast.AST) -> Iterator[ast.Dict]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Dict))


def keys(made: ast.Dict) -> set[str]:
    return {key.value for key in made.keys if isinstance(key, ast.Constant)}


def values(key: str) -> list[ast.expr]:
    """What the dictionaries of the source have under a key."""
    return [
        value
        for tree in SOURCES.values()
        for made in dicts(tree)
        for name, value in zip(made.keys, made.values, strict=True)
        if isinstance(name, ast.Constant) and name.value == key
    ]


def constants(key: str) -> set[str]:
    return {value.value for value in values(key) if isinstance(value, ast.Constant)}


def returned(source: str, function: str) -> set[str]:
    """The keys of the dictionaries that a function returns."""
    (body,) = [
        node for node in ast.walk(SOURCES[source]) if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    returns = [node for node in ast.walk(body) if isinstance(node, ast.Return) and node.value is not None]
    return set().union(*(keys(made) for node in returns for made in dicts(node)))


def written(name: str) -> tuple[set[str], bool]:
    """The keys of a file that write_json writes, and whether it is always durable."""
    fields, durable = set[str](), []
    for tree in SOURCES.values():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if not (len(call.args) == 3 and isinstance(call.args[1], ast.Constant) and call.args[1].value == name):
                    continue
                value = call.args[2]
                if isinstance(value, ast.Name):
                    assigned = {
                        t.id: n.value
                        for n in ast.walk(function)
                        if isinstance(n, ast.Assign)
                        for t in n.targets
                        if isinstance(t, ast.Name)
                    }
                    value = assigned[value.id]
                assert isinstance(value, ast.Dict)
                fields |= keys(value)
                durable.append(any(keyword.arg == "durable" for keyword in call.keywords))
    return fields, all(durable)
