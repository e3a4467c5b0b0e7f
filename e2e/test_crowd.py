"""One peer or one session that holds all it can get, and the others, who are served."""

from __future__ import annotations

import contextlib
import resource
import socket
from urllib.parse import urlsplit

from harness import Athena, Server
from harness.metrics import sample


def test_idle_connections_keep_nobody_out(own_server: Server) -> None:
    """More connections without a word than the server or its S3 holds: whoever has something to say is served."""
    env = own_server.env
    for service in ("S3", "ATHENA"):
        at = urlsplit(env[f"AWS_ENDPOINT_URL_{service}"])
        with contextlib.ExitStack() as idle:
            for _ in range(more_than_all()):
                idle.enter_context(socket.create_connection((at.hostname, at.port)))
            s3 = own_server.client("s3", retries={"total_max_attempts": 1})
            s3.put_object(Bucket="beside-idle-ones", Key="x", Body=b"x")
            assert s3.get_object(Bucket="beside-idle-ones", Key="x")["Body"].read() == b"x"
            again = own_server.client("athena", retries={"total_max_attempts": 1})
            assert again.list_work_groups()["WorkGroups"]
    assert sample(own_server, "ergane_s3_restarts_total") == 0


def more_than_all() -> int:
    """How many connections are too many: 4,300, or what this process may have where the server has fewer, too."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(4300, most * 3 // 4)


def test_a_sessions_stalled_uploads_keep_nobody_out(athena: Athena, session: str) -> None:
    """Code begins 199 parts and ends none: it is told to slow down, and another session and the server are not."""
    code = STALLED_UPLOADS.format(bucket="stalled-uploads")
    greedy = athena.session()
    assert athena.run(greedy, code).stdout == b"503\n"
    write = "import boto3; boto3.client('s3').put_object(Bucket='stalled-uploads', Key='other', Body=b'x'); print(1)"
    assert athena.run(session, write).stdout == b"1\n"
    assert athena.read("s3://stalled-uploads/other") == b"x"
    athena.run(greedy, "for c in stalled: c.close()")
    athena.api.terminate_session(SessionId=greedy)


STALLED_UPLOADS = """
import boto3, botocore.config, socket
from urllib.parse import urlsplit
once = botocore.config.Config(signature_version="s3v4", retries={{"total_max_attempts": 1}})
s3 = boto3.client("s3", config=once)
s3.put_object(Bucket={bucket!r}, Key="first", Body=b"x")
upload = s3.create_multipart_upload(Bucket={bucket!r}, Key="large")["UploadId"]
stalled = []
for n in range(1, 200):
    part = dict(Bucket={bucket!r}, Key="large", UploadId=upload, PartNumber=n)
    at = urlsplit(s3.generate_presigned_url("upload_part", part))
    c = socket.create_connection((at.hostname, at.port))
    head = f"PUT {{at.path}}?{{at.query}} HTTP/1.1", f"Host: {{at.netloc}}", "Content-Length: 1000000", "", ""
    c.sendall("\\r\\n".join(head).encode() + b"x" * 10000)
    stalled.append(c)
while True:
    try:
        s3.head_bucket(Bucket={bucket!r})
    except s3.exceptions.ClientError as error:
        print(error.response["ResponseMetadata"]["HTTPStatusCode"])
        break
"""
