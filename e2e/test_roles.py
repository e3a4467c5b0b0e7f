"""Execution roles: the sessions of a role use the S3 and the key that the operator gave it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Server, running

ANALYSTS = "arn:aws:iam::000000000000:role/analysts"


def test_a_role_is_a_store_and_a_key(tmp_path: Path, shared_server: Server, athena: Athena) -> None:
    elsewhere = shared_server.env  # a second S3, with keys of its own
    athena.s3.create_bucket(Bucket="of-the-role")
    athena.s3.put_object(Bucket="of-the-role", Key="in/x.txt", Body=b"from the role's store")
    file = tmp_path / "roles.json"
    file.touch(0o600)
    entry = {
        "endpoint": elsewhere["AWS_ENDPOINT_URL_S3"],
        "access_key_id": elsewhere["AWS_ACCESS_KEY_ID"],
        "secret_access_key": elsewhere["AWS_SECRET_ACCESS_KEY"],
    }
    file.write_text(json.dumps({ANALYSTS: entry}))
    with running(tmp_path, "--roles", str(file)) as server:
        own = Athena(server)
        own.api.update_work_group(WorkGroup="primary", ConfigurationUpdates={"ExecutionRole": ANALYSTS})
        sid = own.session()
        assert own.api.get_session(SessionId=sid)["SessionConfiguration"]["ExecutionRole"] == ANALYSTS
        done = own.run(
            sid,
            "import os\nprint(spark.read.text('s3://of-the-role/in').first()[0])\n"
            "spark.range(3).write.parquet('s3://of-the-role/out')\nprint(os.environ['AWS_ENDPOINT_URL_S3'])",
        )
        assert done.stderr == b""
        assert done.stdout.decode().split("\n") == ["from the role's store", entry["endpoint"], ""]
        assert athena.s3.list_objects_v2(Bucket="of-the-role", Prefix="out/")["KeyCount"] > 0
        assert "of-the-role" not in [b["Name"] for b in own.s3.list_buckets()["Buckets"]]

        with pytest.raises(ClientError, match="role/others is not configured on this server") as caught:
            own.start(ExecutionRole="arn:aws:iam::000000000000:role/others")
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
