"""Classification: the labels that `classify` gives, in forms and in JSON, ranked, and charged."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

import sonant
from tests.heads import LABELS
from tests.server.running import RunningServer
from tests.server.speech import clip

ONE, OTHER = clip("en-allison-welcome", 1.0), clip("it-carlo-busy", 2.0)


def ask(server: RunningServer, key: str | None = None, **how: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key or server.user_key}"}
    return httpx2.post(f"{server.base_url}/v1/audio/classifications", headers=headers, **how)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_labels_are_those_of_python_by_falling_probability(heads_server: RunningServer, checkpoints: Path) -> None:
    expected = sonant.classify([ONE, OTHER], model=checkpoints / "emotions")
    form = ask(heads_server, data={"model": "emotions"}, files=[("file", ONE), ("file", OTHER)]).json()
    by_json = ask(heads_server, json={"model": "emotions", "file": [text(ONE), {"audio": text(OTHER)}]}).json()
    assert form == by_json
    assert [item["index"] for item in form["data"]] == [0, 1]
    for item, scores in zip(form["data"], expected, strict=True):
        assert {one["label"]: one["score"] for one in item["scores"]} == pytest.approx(scores, abs=1e-5)
        assert [one["score"] for one in item["scores"]] == sorted(
            (one["score"] for one in item["scores"]), reverse=True
        )
        assert item["label"] == max(scores, key=scores.__getitem__)
    assert form["usage"]["seconds"] == 3.0
    top = ask(heads_server, json={"model": "emotions", "file": text(ONE), "top_k": 1}).json()["data"][0]
    assert top["scores"] == form["data"][0]["scores"][:1]


def test_it_is_charged_and_counted(heads_server: RunningServer) -> None:
    def credit() -> Any:
        return heads_server.run(heads_server.services.accounts.credit.of(heads_server.user_id))

    before = credit()
    answer = ask(heads_server, data={"model": "emotions", "channel": "all"}, files={"file": ONE}).json()
    assert f"{before - credit():f}" == answer["usage"]["cost"] != "0"
    assert answer["data"][0]["channel"] == 0
    metrics = httpx2.get(
        f"{heads_server.base_url}/metrics", headers={"Authorization": f"Bearer {heads_server.admin_key}"}
    )
    assert 'endpoint="/v1/audio/classifications"' in metrics.text


def test_outputs_that_are_no_probabilities_are_not_ranked(
    heads_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = heads_server.services.models.get("emotions").encoder._heads.stored["speech_classification"]
    problem = replace(head, metadata=head.metadata | {"problem_type": "regression"})
    monkeypatch.setitem(
        heads_server.services.models.get("emotions").encoder._heads.stored, "speech_classification", problem
    )
    (item,) = ask(heads_server, json={"model": "emotions", "file": text(ONE)}).json()["data"]
    assert ([one["label"] for one in item["scores"]], item["label"]) == (list(LABELS), None)
    error = ask(heads_server, json={"model": "emotions", "file": text(ONE), "top_k": 1}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "top_k")


def test_what_is_refused(heads_server: RunningServer) -> None:
    for body, status, code in (
        ({"model": "recognizer", "file": text(ONE)}, 400, "unsupported_ability"),
        ({"model": "emotions"}, 400, "missing_parameter"),
        ({"model": "emotions", "file": text(ONE), "top_k": 0}, 400, "invalid_value"),
        ({"model": "emotions", "file": text(b"no audio" * 20)}, 400, "invalid_audio"),
    ):
        answer = ask(heads_server, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    key = heads_server.new_key("vectors@example.org", scopes=["embeddings"])
    assert ask(heads_server, key, json={"model": "emotions", "file": text(ONE)}).status_code == 403


def test_an_answer_of_too_many_scores_is_refused(heads_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonant.server.routes.classifications.SCORE_BYTES", 200 << 20)
    error = ask(heads_server, json={"model": "emotions", "file": text(ONE)}).json()["error"]
    assert error["code"] == "response_too_large"
