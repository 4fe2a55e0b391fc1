"""The OpenAPI document is true: whatever it allows is answered as it says, and never with a 500."""

import base64
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS as KNOWN
from schemathesis.checks import load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema

from sonant.server.routes.documentation import COSTLY, spoken
from tests.server.running import RunningServer
from tests.server.speech import clip

load_all_checks()
CHECKS = KNOWN.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ]
)
MODELS = {
    "/v1/embeddings": "sonant/wavlm-tiny",
    "/v1/audio/transcriptions": "recognizer",
    "/v1/audio/speaker/verification": "voices",
    "/v1/audio/diarizations": "diarizer",
    "/v1/audio/alignments": "recognizer",
    "/v1/audio/classifications": "emotions",
    "/v1/audio/enhancements": "enhancer",
    "/v1/audio/separations": "separator",
    "/v1/voice/embed": "voices",
    "/v1/voice/verify": "voices",
    "/v1/voice/identify": "voices",
    "/v1/voice/analyze": "emotions",
}


@pytest.fixture(scope="module")
def document(heads_server: RunningServer) -> dict[str, Any]:
    document: dict[str, Any] = httpx2.get(f"{heads_server.base_url}/openapi.json").json()
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith("/v1/")}
    return document


@pytest.fixture(scope="module")
def api(heads_server: RunningServer, document: dict[str, Any]) -> BaseSchema:
    """The document as it is."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=heads_server.base_url)
    return schema


@pytest.fixture(scope="module")
def answering_api(heads_server: RunningServer) -> BaseSchema:
    """The document with models that are there and recordings that are speech, so that most requests succeed."""
    document: dict[str, Any] = httpx2.get(f"{heads_server.base_url}/openapi.json").json()
    document["paths"] = {path: document["paths"][path] for path in MODELS}
    recording = {"enum": [base64.b64encode(clip("en-allison-welcome", seconds)).decode() for seconds in (0.3, 0.5)]}
    for path, item in document["paths"].items():
        content = item["post"]["requestBody"]["content"]
        del content["multipart/form-data"]
        properties = content["application/json"]["schema"]["properties"]
        properties["model"] = {"enum": [MODELS[path]]}
        for name in ("file", "input", "reference", "audio", "audio1", "audio2"):
            if name in properties:
                properties[name] = recording
        content["application/json"].pop("examples")
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=heads_server.base_url)
    return schema


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_the_document_allows_and_what_it_does_not(
    api: BaseSchema, heads_server: RunningServer, mode: GenerationMode
) -> None:
    _try(api, heads_server, mode, times=4)


def test_what_succeeds(answering_api: BaseSchema, heads_server: RunningServer) -> None:
    _try(answering_api, heads_server, GenerationMode.POSITIVE, times=3)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_much_of_it(api: BaseSchema, heads_server: RunningServer, mode: GenerationMode) -> None:
    _try(api, heads_server, mode, times=120)


@pytest.mark.slow
def test_much_that_succeeds(answering_api: BaseSchema, heads_server: RunningServer) -> None:
    _try(answering_api, heads_server, GenerationMode.POSITIVE, times=50)


def _try(schema: BaseSchema, server: RunningServer, mode: GenerationMode, *, times: int) -> None:
    """Ask every operation so many times, and compare what it answers with what the document says of it."""
    for found in schema.get_all_operations():

        @given(case=found.ok().as_strategy(generation_mode=mode))
        @settings(max_examples=times, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {server.user_key}"}, checks=CHECKS)

        ask()


def test_examples_work(heads_server: RunningServer, document: dict[str, Any]) -> None:
    for path, model in MODELS.items():
        (example,) = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"].values()
        body = {**example["value"], "model": model}
        assert spoken() in body.values()
        response = httpx2.post(
            f"{heads_server.base_url}{path}", headers={"Authorization": f"Bearer {heads_server.user_key}"}, json=body
        )
        assert response.status_code == 200, response.text


def test_every_error_is_documented_in_one_shape(document: dict[str, Any]) -> None:
    shape = {"$ref": "#/components/schemas/Error"}
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["security"], path
            errors = {status: told for status, told in operation["responses"].items() if status[0] != "2"}
            assert "422" not in errors
            assert all(told["content"]["application/json"]["schema"] == shape for told in errors.values())
            if path in MODELS:
                assert {int(status) for status in errors} - {409} == set(COSTLY)
    assert "Retry-After" in document["paths"]["/v1/embeddings"]["post"]["responses"]["429"]["headers"]


def test_null_means_the_default_in_json_and_is_not_in_forms(document: dict[str, Any]) -> None:
    for path in MODELS:
        for kind, media in document["paths"][path]["post"]["requestBody"]["content"].items():
            schema = media["schema"]
            for name in schema["properties"].keys() - schema["required"]:
                nullable = {"type": "null"} in schema["properties"][name].get("anyOf", ())
                assert nullable == (kind == "application/json"), (path, kind, name)
