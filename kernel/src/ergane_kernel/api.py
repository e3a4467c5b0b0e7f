"""Questions to Athena's API from inside a block, with the session's own key."""

from __future__ import annotations

from typing import Any

CONNECT_SECONDS = 2
READ_SECONDS = 5


class ApiError(Exception):
    """The API did not answer, or refused the call; the text is a sentence for the user."""

    def __init__(self, sentence: str, answered: bool) -> None:
        super().__init__(sentence)
        self.answered = answered  # by a refusal


class Api:
    """env has the session's addresses and keys as they were at its start: user code may have changed os.environ."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env

    def call(self, operation: str, **parameters: str) -> dict[str, Any]:
        """Calls an operation by its name in boto3. Raises ApiError."""
        env = self._env
        if "AWS_ENDPOINT_URL_ATHENA" not in env:
            raise ApiError("This session was not told where the API is.", answered=False)
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import ClientError
        except Exception as error:
            raise ApiError(f"The API cannot be called without boto3: {error}.", answered=False) from None
        try:
            client = boto3.session.Session().client(
                "athena",
                endpoint_url=env["AWS_ENDPOINT_URL_ATHENA"],
                region_name=env.get("AWS_REGION", "us-east-1"),
                aws_access_key_id=env.get("AWS_ACCESS_KEY_ID", ""),
                aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
                verify=env.get("AWS_CA_BUNDLE"),
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"total_max_attempts": 1},
                    proxies={},
                ),
            )
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except ClientError as error:
            raise ApiError(f"The API refused the call: {error}.", answered=True) from None
        except Exception as error:
            raise ApiError(f"The API cannot be reached: {error}.", answered=False) from None
        return answer
