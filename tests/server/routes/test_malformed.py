"""Hundreds of files that are no recordings, sent to a running server: each is refused, in bounded time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from sonant.server.settings import AccountRules, Limits, ServerSettings
from tests.server.intake.malformed import malformed_files
from tests.server.running import running
from tests.server.speech import clip


@pytest.mark.slow
def test_every_malformed_file_is_refused(tmp_path: Path) -> None:
    files = list(malformed_files())
    assert len(files) >= 200
    rules = AccountRules(requests_per_minute=100_000)
    with running(ServerSettings(data=tmp_path, accounts=rules)) as server, httpx2.Client(timeout=60.0) as client:

        def send(data: bytes) -> tuple[httpx2.Response, float]:
            start = time.monotonic()
            response = client.post(
                f"{server.base_url}/v1/embeddings",
                headers={"Authorization": f"Bearer {server.user_key}"},
                data={"model": "sonant/wavlm-tiny"},
                files={"file": data},
            )
            return response, time.monotonic() - start

        with ThreadPoolExecutor(2) as senders:
            answers = list(senders.map(send, [data for _, data in files]))
        assert send(clip("en-allison-busy", 1.0))[0].status_code == 200, "it still serves"

    wrong = [
        (name, response.status_code, response.text[:200])
        for (name, _), (response, _) in zip(files, answers, strict=True)
        if not (
            400 <= response.status_code < 500
            and response.json()["error"]["param"] == "file"
            and response.headers["x-request-id"]
        )
    ]
    assert not wrong
    assert max(seconds for _, seconds in answers) < 2 * Limits().decode_seconds
