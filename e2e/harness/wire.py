"""Requests made by hand: what no SDK would send."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

JSON_1_1 = "application/x-amz-json-1.1"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        return json.loads(self.body)


@dataclass
class Wire:
    """Signs with Signature Version 4 by the book, except for what a test asks to be otherwise."""

    endpoint: str
    key: str
    secret: str
    region: str = "us-east-1"
    service: str = "athena"
    clock: timedelta = field(default_factory=timedelta)  # how far it is off

    def send(
        self,
        operation: str,
        body: bytes | dict[str, Any],
        *,
        target: str | None = None,
        headers: dict[str, str | None] | None = None,
        unsigned: dict[str, str] | None = None,
        sign: bool = True,
        instead: bytes | Iterator[bytes] | None = None,
        method: str = "POST",
        path: str = "/",
    ) -> Answer:
        """headers are signed; one that is None is left out. unsigned are added after the signature. instead is the
        body that is sent in place of the signed one, in chunks if it is an iterator. Only the path / can be signed."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = urlsplit(self.endpoint)
        sent: dict[str, str | None] = {
            "Content-Type": JSON_1_1,
            "X-Amz-Target": target if target is not None else f"AmazonAthena.{operation}",
            "Host": at.netloc,
            **(headers or {}),
        }
        plain = {k: v for k, v in sent.items() if v is not None}
        if sign:
            plain.update(self._signature(method, plain, raw))
        plain.update(unsigned or {})
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
        try:
            connection.request(method, path, body=raw if instead is None else instead, headers=plain)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def _signature(self, method: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        stamp = (datetime.now(timezone.utc) + self.clock).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        lower = {k.lower(): v for k, v in headers.items()} | {"x-amz-date": stamp}
        names = ";".join(sorted(lower))
        lines = [method, "/", "", *(f"{k}:{lower[k]}" for k in sorted(lower)), "", names]
        lines.append(hashlib.sha256(body).hexdigest())
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = f"AWS4{self.secret}".encode()
        for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"Credential={self.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return {"X-Amz-Date": stamp, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
