"""A client that polls, as the measured ones do."""

from __future__ import annotations

from harness import Athena, wait_for


def await_state(
    athena: Athena,
    cid: str,
    *wanted: str,
    before: tuple[str, ...] = ("CREATING", "RUNNING"),
    pause: float = 0,
    despite: tuple[type[Exception], ...] = (),
) -> str:
    """The first of the wanted states that the API answers; only those of before may come until then."""

    def look() -> str | None:
        status = athena.api.get_calculation_execution_status(CalculationExecutionId=cid)["Status"]
        if status["State"] in wanted:
            return status["State"]
        assert status["State"] in before, status
        return None

    return wait_for(f"{' or '.join(wanted)} of calculation {cid}", look, pause=pause, despite=despite)
