"""What /metrics says."""

from __future__ import annotations

import urllib.request

from harness.server import Server


def scrape(server: Server) -> str:
    """The text as Prometheus gets it: without a signature."""
    with urllib.request.urlopen(server.env["AWS_ENDPOINT_URL_ATHENA"] + "/metrics", timeout=60) as answer:
        return answer.read().decode()


def sample(server: Server, name: str) -> float:
    """The value of a sample; name is written as it stands there, with its labels."""
    for line in scrape(server).splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"/metrics has no {name}")
