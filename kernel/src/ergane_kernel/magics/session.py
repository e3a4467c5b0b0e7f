"""%session_id, %status and %list_sessions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..api import Api, ApiError
from ..tables import Table, as_text

if TYPE_CHECKING:
    from ..facts import Facts
    from ..shell import Shell


class SessionMagics:
    line = ("session_id", "status", "list_sessions")

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @property
    def _facts(self) -> Facts:
        return self._shell.session.facts

    def session_id(self, _: str) -> None:
        """Prints the id of this session."""
        print(self._facts.session)

    def status(self, _: str) -> None:
        """Prints this session's id, state, workgroup, engine version and start time."""
        facts = self._facts
        state, started = "BUSY", _epoch(facts.started)  # a block runs: this one
        workgroup, engine, missing = facts.workgroup, facts.engine_version, ""
        try:
            answer = Api(self._shell.session.env).call("get_session", SessionId=facts.session)
            state, started = answer["Status"]["State"], _time(answer["Status"].get("StartDateTime"))
            workgroup, engine = answer["WorkGroup"], answer["EngineVersion"]
        except ApiError as error:
            missing = f"{error} This is what was known at the session's start."
        except (KeyError, TypeError):
            missing = "The API's answer was not understood. This is what was known at the session's start."
        for name, value in (
            ("Session ID", facts.session),
            ("State", state),
            ("Workgroup", workgroup),
            ("Engine version", engine),
            ("Start time", started),
        ):
            print(f"{name + ':':<16}{value or 'unknown'}")
        if missing:
            print(missing)

    def list_sessions(self, _: str) -> None:
        """Prints the sessions of this notebook, or of the workgroup: id, state, start and end time."""
        facts, missing = self._facts, ""
        try:
            rows = self._rows(Api(self._shell.session.env))
        except ApiError as error:
            missing = f"{error} Only this session is known."
            rows = [[facts.session, "BUSY", _epoch(facts.started), ""]]
        print(as_text(Table(["Session ID", "State", "Start time", "End time"], rows)))
        if missing:
            print(missing)

    def _rows(self, api: Api) -> list[list[str]]:
        facts = self._facts
        if facts.notebook:
            try:
                answer = api.call("list_notebook_sessions", NotebookId=facts.notebook)
                ids = [entry["SessionId"] for entry in answer.get("NotebookSessionsList") or ()]
                return [_row(id, api.call("get_session_status", SessionId=id)["Status"]) for id in ids]  # noqa: A001
            except ApiError as error:
                if not error.answered:
                    raise
        # If the server does not know the notebook, the workgroup's sessions are shown.
        answer = api.call("list_sessions", WorkGroup=facts.workgroup)
        return [_row(entry["SessionId"], entry["Status"]) for entry in answer.get("Sessions") or ()]


def _row(session: str, status: dict[str, Any]) -> list[str]:
    return [session, status.get("State", ""), _time(status.get("StartDateTime")), _time(status.get("EndDateTime"))]


def _epoch(seconds: float) -> str:
    return _time(datetime.fromtimestamp(seconds, timezone.utc)) if seconds else ""


def _time(value: datetime | None) -> str:
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC") if value is not None else ""
