"""Mixed traffic: what the users of one server do for an hour. Each client is a thread with dice of its own."""

from __future__ import annotations

import contextlib
import random
import urllib.request
import uuid
from collections import Counter
from http.client import HTTPException
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from chaos.plan import Work
from chaos.world import Calculation, Session, Violation, World, kill
from soak.gate import Gate

TERMINAL = ("COMPLETED", "FAILED", "CANCELED")
ENDED = ("TERMINATED", "FAILED")
LIMIT = 600
PAGES = 20
REAL = "real"  # the workgroup whose sessions have Spark


class Client:
    """One user. work does one piece of work, after which nothing of it goes on."""

    def __init__(self, world: World, gate: Gate, done: Counter[str], seed: str) -> None:
        self.world, self.gate, self.done, self.name = world, gate, done, seed
        self.dice = random.Random(seed)
        self.env = world.server.env

    def run(self) -> None:
        while True:
            with self.gate.work(self.name) as go:
                if not go:
                    return
                self.work()
            self.gate.pause(self.dice.uniform(0, 0.1))

    def work(self) -> None:
        raise NotImplementedError

    def session(self, group: str = "primary", **more: Any) -> str:
        sid = self.create("start_session", WorkGroup=group, EngineConfiguration={"MaxConcurrentDpus": 2}, **more)[
            "SessionId"
        ]
        self.world.sessions[sid] = Session(sid)
        state = self.world.leave(sid, "CREATING", limit=LIMIT)
        if state["State"] != "IDLE":
            raise Violation("loss", f"session {sid} did not start: {state}")
        self.done["sessions"] += 1
        return sid

    def create(self, what: str, **kwargs: Any) -> Any:
        """The same call, also where its answer is lost, is the same thing made once."""
        token = str(uuid.UUID(int=self.dice.getrandbits(128)))
        return self.world.call(what, ClientRequestToken=token, **kwargs)

    def submit(self, sid: str, text: str) -> str:
        got = self.create("start_calculation_execution", SessionId=sid, CodeBlock=text)
        return got["CalculationExecutionId"]

    def gone(self, sid: str) -> None:
        self.world.leave(sid, "CREATING", "IDLE", "BUSY", "TERMINATING", "DEGRADED", limit=LIMIT)
        self.world.sessions.pop(sid, None)

    def calculate(self, sid: str, work: Work, stop: bool = False, tail: bool = False, dies: bool = False) -> None:
        calc = Calculation(sid, f"m{self.dice.getrandbits(64):016x}", work)
        try:
            calc.id = self.submit(sid, code(calc))
        except ClientError:
            if dies:
                return  # its session was faster
            raise
        if stop:
            self.gate.pause(self.dice.uniform(0, 0.2))
            self.world.call("stop_calculation_execution", CalculationExecutionId=calc.id)
        if tail:
            self.tail(calc.id)
        got = self.ended(calc.id)
        state = got["Status"]["State"]
        self.done[state] += 1
        if not dies and state not in ("COMPLETED", "CANCELED" if stop else ""):
            raise Violation("loss", f"calculation {calc.id} is {got['Status']}")
        if state == "COMPLETED" and self.world.object(got["Result"]["StdOutS3Uri"]) != calc.output():
            raise Violation("torn", f"calculation {calc.id} printed something else")

    def ended(self, cid: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            got = self.world.call("get_calculation_execution", CalculationExecutionId=cid)
            return got if got["Status"]["State"] in TERMINAL else None

        return self.world.await_(f"end of calculation {cid}", look, LIMIT)

    def tail(self, cid: str) -> None:
        """Follow its output, as `ergane run` does, for as long as the server is there."""
        env = self.env
        url = f"{env['AWS_ENDPOINT_URL_ATHENA']}/calculations/{cid}/output?stream=stdout"
        request = AWSRequest("GET", url)
        key = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(key, "athena", env["AWS_REGION"]).add_auth(request)
        with contextlib.suppress(OSError, HTTPException):  # it is killed now and then
            with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers)), timeout=60) as got:
                while got.read(1 << 16):
                    pass
            self.done["tails"] += 1


def code(calc: Calculation) -> str:
    """For a stand-in kernel: half of the output, some time, the other half."""
    half, size = calc.work.size // 2, calc.work.size
    return f"fill 0 {half} {calc.mark}\nsleep {calc.work.seconds}s\nfill {half} {size} {calc.mark}"


class Steady(Client):
    """A session that lives as long as the run, and one calculation after the other."""

    sid = ""

    def work(self) -> None:
        if not self.sid:
            self.sid = self.session(SessionIdleTimeoutInMinutes=480)
        kind = self.dice.random()
        if kind < 0.02:
            self.calculate(self.sid, Work(size=100_000, seconds=3), tail=True)
        elif kind < 0.1:
            self.calculate(self.sid, Work(size=self.dice.randrange(500_000), seconds=0.3), tail=kind < 0.04)
        elif kind < 0.15:
            self.calculate(self.sid, Work(size=1000, seconds=3600), stop=True)
        else:
            self.calculate(self.sid, Work(size=self.dice.randrange(5_000)))


class Spark(Steady):
    """The same with a real kernel: thousands of small calculations."""

    def work(self) -> None:
        if not self.sid:
            self.sid = self.session(REAL, SessionIdleTimeoutInMinutes=480)
        n = self.dice.randrange(1_000_000)
        text, want = f"x = {n}\nprint(x)\nx + 1", f"{n}\n"
        if self.dice.random() < 0.1:
            text, want = f"print(spark.range({n}).count())", f"{n}\n"
        cid = self.submit(self.sid, text)
        got = self.ended(cid)
        if got["Status"]["State"] != "COMPLETED":
            raise Violation("loss", f"calculation {cid} is {got['Status']}")
        if (out := self.world.object(got["Result"]["StdOutS3Uri"])) != want.encode():
            raise Violation("torn", f"calculation {cid} printed {out!r} and not {want!r}")
        self.done["with Spark"] += 1


class Churn(Client):
    """Sessions that come, calculate a little and end in one way or another."""

    def work(self) -> None:
        sid = self.session()
        for _ in range(self.dice.randint(0, 4)):
            self.calculate(sid, Work(size=self.dice.randrange(20_000), seconds=self.dice.choice([0, 0, 0.2])))
        how = self.dice.choice(["terminate", "terminate", "terminate", "busy", "kernel", "shim"])
        if how == "busy":
            self.submit(sid, "sleep 1h")
        if how in ("terminate", "busy"):
            self.world.call("terminate_session", SessionId=sid)
        else:
            kill(self.world.part(sid, how))
            self.done[f"killed {how}s"] += 1
            self.calculate(sid, Work(), dies=True)
        self.gone(sid)
        self.gate.pause(self.dice.uniform(0, 4))


class Groups(Client):
    """Workgroups that come and go with all that is in them."""

    def work(self) -> None:
        name = f"soak-{self.dice.getrandbits(64):x}"
        with contextlib.suppress(ClientError):  # made by a call whose answer was lost
            self.world.call("create_work_group", Name=name)
        sid = self.session(name)
        self.calculate(sid, Work(size=2000))
        with contextlib.suppress(ClientError):  # deleted by a call whose answer was lost
            self.world.call("delete_work_group", WorkGroup=name, RecursiveDeleteOption=True)

        def look() -> bool | None:
            try:
                self.world.call("get_work_group", WorkGroup=name)
            except ClientError:
                return True
            return None

        self.world.await_(f"end of workgroup {name}", look, LIMIT)
        self.world.sessions.pop(sid, None)
        self.done["workgroups"] += 1
        self.gate.pause(self.dice.uniform(0, 8))


class Dashboard(Client):
    """Somebody who looks at everything, page by page."""

    def work(self) -> None:
        calls = self.world.call
        for group in calls("list_work_groups")["WorkGroups"]:
            for session in self.pages("list_sessions", "Sessions", WorkGroup=group["Name"], MaxResults=10):
                with contextlib.suppress(ClientError):  # gone with its workgroup
                    calls("get_session_status", SessionId=session["SessionId"])
                    if self.dice.random() < 0.1:
                        calls("get_session", SessionId=session["SessionId"])
                        calls("list_executors", SessionId=session["SessionId"])
                        self.pages("list_calculation_executions", "Calculations", SessionId=session["SessionId"])
        self.done["looks at all"] += 1
        self.gate.pause(self.dice.uniform(0, 2))

    def pages(self, what: str, key: str, **kwargs: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with contextlib.suppress(ClientError):
            for _ in range(PAGES):
                page = self.world.call(what, **kwargs)
                found += page[key]
                if not page.get("NextToken"):
                    break
                kwargs["NextToken"] = page["NextToken"]
        return found
