"""What has gone wrong in servers of this kind before, each tried here under the number it was published by."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import Athena, Server
from harness.wire import Wire


@pytest.fixture(scope="module")
def own(athena: Athena) -> Iterator[str]:
    """A session whose strings are all hostile."""
    sid = athena.session(
        Description=HOSTILE,
        EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": {"spark.app.name": HOSTILE, **UNPREFIXED}},
        Tags=[{"Key": "of", "Value": TAG}],
    )
    yield sid
    athena.api.terminate_session(SessionId=sid)


HOSTILE = (
    "<script>alert(1)</script> {{7*7}} ${jndi:ldap://127.0.0.1/x} $(touch /tmp/ergane-evaluated) `id` %s ; & \"'\\ "
    "${env:AWS_SECRET_ACCESS_KEY} --conf spark.master=yarn"
)
TAG = "{{7*7}}=<script>"
UNPREFIXED = {"driver.extraClassPath": "/tmp/alias", "conf.spark.master": "/tmp/alias"}

FILES = {
    "spark.files": "/etc/passwd",
    "spark.archives": "/etc/passwd",
    "spark.submit.pyFiles": "/etc/passwd",
    "spark.yarn.dist.files": "/etc/passwd",
    "spark.kerberos.keytab": "/etc/passwd",
    "spark.hadoop.hadoop.security.credential.provider.path": "localjceks://file/etc/passwd",
    "spark.driver.extraJavaOptions": "-javaagent:/tmp/x.jar",
    "spark.metrics.conf": "/etc/passwd",
}

RIGHTS = {
    "spark.driver.extraClassPath": "/tmp",
    "spark.executor.extraClassPath": "/tmp",
    "spark.driver.extraLibraryPath": "/tmp",
    "spark.submit.proxyUser": "root",
    "spark.hadoop.hadoop.proxyuser.root.hosts": "*",
    "spark.driver.userClassPathFirst": "true",
    "spark.plugins": "x.Y",
    "spark.pyspark.python": "/tmp/python",
    "spark.executorEnv.LD_PRELOAD": "/tmp/x.so",
}

ALIASES = [
    " spark.driver.extraClassPath",
    "spark.driver.extraClassPath\t",
    "SPARK.DRIVER.EXTRACLASSPATH",
    "spark.driver.extraclasspath",
    "spark.driver.extraClassPath=/tmp --conf x",
    "spark.driver.extra\u0430ClassPath",
    "spark\u200b.driver.extraClassPath",
    "spark.conf.spark.driver.extraClassPath",
    "spark.spark.driver.extraClassPath",
]


def refused(athena: Athena, key: str, value: str) -> str:
    before = sessions(athena)
    with pytest.raises(ClientError) as refusal:
        athena.start(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": {key: value}})
    assert refusal.value.response["Error"]["Code"] == "InvalidRequestException"
    assert sessions(athena) == before
    return refusal.value.response["Error"]["Message"]


def sessions(athena: Athena) -> set[str]:
    return {s["SessionId"] for s in athena.api.list_sessions(WorkGroup="primary")["Sessions"]}  # the newest 100


@pytest.mark.parametrize("key", FILES)
def test_cve_2025_60012_a_property_names_a_file_of_the_server(athena: Athena, key: str) -> None:
    assert "cannot be set" in refused(athena, key, FILES[key])


@pytest.mark.parametrize("key", RIGHTS)
def test_cve_2023_22946_a_property_gives_code_the_servers_rights(athena: Athena, key: str) -> None:
    assert "cannot be set" in refused(athena, key, RIGHTS[key])


@pytest.mark.parametrize("key", ALIASES)
def test_cve_2025_66518_and_cve_2026_62391_another_spelling_passes(athena: Athena, key: str) -> None:
    assert "cannot be set" in refused(athena, key, "/tmp")


def test_cve_2026_62391_a_name_without_its_prefix_has_no_effect(athena: Athena, own: str) -> None:
    got = athena.run(own, "print(sc.getConf().getAll(), sc.master)")
    assert b"local[" in got.stdout
    assert b"/tmp/alias" not in got.stdout


TRAVERSALS = ["..", "../../{}", "a/../../../{}", "%2e%2e/%2e%2e/{}", "..%2f..%2f..%2f{}", "./../{}", "%00{}"]


def raw_s3(server: Server, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """A signed request whose path is sent as it stands: clients would tidy it up."""
    env = server.env
    endpoint = env["AWS_ENDPOINT_URL_S3"]
    request = AWSRequest(method=method, url=endpoint + path, data=body)
    key = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    S3SigV4Auth(key, "s3", env["AWS_REGION"]).add_auth(request)
    at = urlsplit(endpoint)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=dict(request.headers.items()))
        got = connection.getresponse()
        return got.status, got.read()
    finally:
        connection.close()


@pytest.mark.parametrize("shape", TRAVERSALS)
def test_cve_2025_66249_and_cve_2026_52680_a_name_leaves_its_folder(
    shared_server: Server, athena: Athena, shape: str
) -> None:
    if "traversed" not in {b["Name"] for b in athena.s3.list_buckets()["Buckets"]}:
        athena.s3.create_bucket(Bucket="traversed")
    assert raw_s3(shared_server, "PUT", "/traversed/planted", b"x")[0] == 200
    before = outside(shared_server)
    for bucket in ("/traversed", ""):
        for verb, query in (("PUT", ""), ("POST", "?uploads"), ("GET", ""), ("DELETE", "")):
            path = f"{bucket}/{shape}".format("keys.json") + query
            status, body = raw_s3(shared_server, verb, path, b"planted" if verb == "PUT" else b"")
            assert 400 <= status < 500, (verb, path, status)
            assert b"SignatureDoesNotMatch" not in body, path  # or nothing would have been tried
            assert b"secret_access_key" not in body, path
    assert outside(shared_server) == before


def outside(server: Server) -> dict[str, bytes]:
    """What is in the data folder and around it, with the contents that a traversal would change."""
    folders = (server.data_dir.parent, server.data_dir, server.data_dir / "s3")
    found = {str(path): b"" for folder in folders for path in folder.iterdir()}
    return found | {"keys": (server.data_dir / "keys.json").read_bytes()}


@pytest.mark.parametrize("location", ["s3://traversed/../../x/", "s3://../x/", "file:///etc/", "s3://traversed/./x"])
def test_cve_2025_66249_results_are_sent_elsewhere(athena: Athena, location: str) -> None:
    results = {"ResultConfiguration": {"OutputLocation": location}, "EngineVersion": SPARK}
    with pytest.raises(ClientError, match="InvalidRequestException"):
        athena.api.create_work_group(Name="elsewhere", Configuration=results)


SPARK = {"SelectedEngineVersion": "PySpark engine version 3"}


def test_cve_2021_26544_a_stored_text_becomes_a_page(wire: Wire, athena: Athena, own: str) -> None:
    got = wire.send("GetSession", {"SessionId": own})
    assert (got.status, got.headers["content-type"]) == (200, "application/x-amz-json-1.1")
    assert athena.api.get_session(SessionId=own)["Description"] == HOSTILE
    for path in (
        "/",
        "/metrics",
        f"/calculations/{own}/output?stream=stdout",
        "/healthz",
        "/<script>alert(1)</script>",
    ):
        got = wire.send("", b"", method="GET", path=path, sign=False)
        assert b"<script" not in got.body, path
        assert "html" not in got.headers.get("content-type", ""), path


def test_cve_2026_44180_44181_44182_a_clients_text_is_a_template(athena: Athena, own: str) -> None:
    got = athena.run(own, "import os; print(sc.appName); print(spark.conf.get('spark.app.name')); print(sc.master)")
    name, conf, master = got.stdout.decode().splitlines()
    assert name == conf == HOSTILE
    assert master.startswith("local[")
    assert not Path("/tmp/ergane-evaluated").exists()
    arn = f"arn:aws:athena:us-east-1:000000000000:workgroup/primary/session/{own}"
    assert athena.api.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "of", "Value": TAG}]


def test_tsunami_681_nobody_gets_in_without_a_key(wire: Wire, own: str) -> None:
    """A scanner has a plugin for open servers of this kind; that serve refuses to be one, test_commands shows."""
    for operation in ("StartSession", "ListSessions", "GetSession", "StartCalculationExecution"):
        got = wire.send(operation, {"SessionId": own, "WorkGroup": "primary"}, sign=False)
        assert (got.status, got.error["__type"]) == (400, "MissingAuthenticationTokenException")


def test_kyuubi_7391_a_list_shows_what_is_not_ones_own(athena: Athena, own: str, session: str) -> None:
    athena.api.create_work_group(Name="others", Configuration={"EngineVersion": SPARK})
    assert athena.api.list_sessions(WorkGroup="others")["Sessions"] == []
    cid = athena.submit(own, "print(1)")
    athena.await_calculation(cid)
    listed = athena.api.list_calculation_executions(SessionId=session)["Calculations"]
    assert cid not in {c["CalculationExecutionId"] for c in listed}
    athena.api.delete_work_group(WorkGroup="others")


def test_cve_2024_39928_a_secret_can_be_guessed(athena: Athena, own: str, session: str) -> None:
    code = """
import os
print(sc._gateway.gateway_parameters.auth_token)
print(sc._jvm.org.apache.spark.SparkEnv.get().securityManager().getSecretKey())
print(os.environ["AWS_SECRET_ACCESS_KEY"])
"""
    secrets = [line for sid in (own, session) for line in athena.run(sid, code).stdout.decode().split()]
    assert len(secrets) == 6
    assert len(set(secrets)) == 6  # none is a constant, or made from what two sessions share
    for secret in secrets:
        assert len(secret) >= 32
        assert len(set(secret)) >= 10, secret


def test_cve_2018_1334_cve_2018_11760_and_cve_2025_54920_a_sessions_ports_serve_strangers(
    athena: Athena, shared_server: Server, own: str
) -> None:
    """py4j, Spark's RPC and its pages: on loopback only, and for whoever has the session's secret only."""
    athena.run(own, "spark.range(2).rdd.map(lambda r: r.id).sum()")
    token, *_ = athena.run(own, "print(sc._gateway.gateway_parameters.auth_token)").stdout.decode().split()
    listening = ports(shared_server)
    assert len(listening) >= 2  # py4j and Spark's RPC
    call = b"r\nu\njava.lang.System\nrj\ne\n"
    trusted = 0
    for address, port in listening:
        assert address == "127.0.0.1", (address, port)
        assert not answer(port, call).startswith(b"!y"), port
        assert not answer(port, f"A\n{'0' * len(token)}\ne\n".encode() + call).startswith(b"!y"), port
        trusted += answer(port, f"A\n{token}\ne\n".encode(), 5).startswith(b"!y")
        assert not re.match(rb"HTTP/1.. 200", answer(port, b"GET /jobs/ HTTP/1.0\r\n\r\n")), port
    assert trusted >= 1  # so that what is refused would be answered


def answer(port: int, sent: bytes, limit: float = 0.5) -> bytes:
    """What comes back within the limit in seconds; most ports wait for more."""
    with socket.create_connection(("127.0.0.1", port), timeout=limit) as peer:
        try:
            peer.sendall(sent)
            return peer.recv(1000)
        except OSError:
            return b""


def ports(server: Server) -> set[tuple[str, int]]:
    """What the processes of all sessions listen on, the server's own S3 aside."""
    s3 = urlsplit(server.env["AWS_ENDPOINT_URL_S3"]).port
    inodes = set()
    for pid in server.session_processes():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(fd.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] != "0A" or f"socket:[{words[9]}]" not in inodes:
                continue
            address, _, port = words[1].rpartition(":")
            if int(port, 16) != s3:
                found.add((readable(address), int(port, 16)))
    return found


def readable(address: str) -> str:
    """An address as /proc/net/tcp and tcp6 write it: words of 32 bits, least byte first."""
    raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
    if len(raw) == 16 and raw.startswith(bytes(10) + b"\xff\xff"):
        raw = raw[12:]  # IPv4 in IPv6, as Java has it
    return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)
