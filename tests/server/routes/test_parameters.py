"""Parameters from JSON and from forms: the same meaning, and nothing ignored."""

from typing import Any

import pytest

from sonant.server.errors import ApiError
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.embeddings import EmbeddingParameters
from sonant.server.routes.long_text import LongText
from sonant.server.routes.parameters import parameters
from sonant.server.routes.transcriptions import TranscriptionParameters


def _error(fields: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parameters(EmbeddingParameters, RequestBody({"model": "m", **fields}), ("input",))
    return caught.value


def test_a_form_means_what_json_means() -> None:
    json = {"model": "m", "layer": [1, "last"], "normalize": True, "dimensions": 256, "pooling": None}
    form = {"model": "m", "layer": ["1", "last"], "normalize": "true", "dimensions": "256"}
    read = [
        parameters(EmbeddingParameters, RequestBody(json), ()),
        parameters(EmbeddingParameters, RequestBody(form, is_form=True), ()),
    ]
    assert read[0] == read[1]
    assert read[0].layer == [1, "last"]


@pytest.mark.parametrize("layer", [0, "last", "all", [0, 3]])
def test_layers(layer: Any) -> None:
    assert parameters(EmbeddingParameters, RequestBody({"model": "m", "layer": layer}), ()).layer == layer


def test_one_granularity_in_a_form() -> None:
    given = {"model": "m", "timestamp_granularities": "word", "temperature": "0.2", "stream": "true"}
    read = parameters(TranscriptionParameters, RequestBody(given, is_form=True), ())
    assert (read.timestamp_granularities, read.temperature, read.stream) == (["word"], 0.2, True)


@pytest.mark.parametrize(
    ("fields", "code", "param", "told"),
    [
        ({"poling": "mean"}, "unknown_parameter", "poling", "Did you mean pooling"),
        ({"x" * 5000: 1}, "unknown_parameter", "x" * 100, "Known: model"),
        ({"layer": "first"}, "invalid_value", "layer", "'first'"),
        ({"layer": []}, "invalid_value", "layer", "at least 1"),
        ({"layer": -1}, "invalid_value", "layer", "-1"),
        ({"layer": True}, "invalid_value", "layer", "True"),
        ({"layer": 2.5}, "invalid_value", "layer", "2.5"),
        ({"layer": [1, "first"]}, "invalid_value", "layer", "first"),
        ({"encoding_format": "hex"}, "invalid_value", "encoding_format", "'float' or 'base64'"),
        ({"normalize": "yes"}, "invalid_value", "normalize", "boolean"),
        ({"task": "singing"}, "invalid_value", "task", "'speaker'"),
        ({"dimensions": 0}, "invalid_value", "dimensions", "greater than or equal to 1"),
        ({"model": ""}, "invalid_value", "model", "at least 1"),
        ({"model": None}, "missing_parameter", "model", "missing"),
        ({"model": "m" * 201}, "invalid_value", "model", "at most 200"),
        ({"user": LongText(bytearray(9000), is_json=True)}, "invalid_value", "user", "only a recording"),
        ({"layer": [LongText(bytearray(9000), is_json=True)]}, "invalid_value", "layer", "only a recording"),
        ({"layer": ["x"] * 101}, "invalid_value", "layer", "101 items"),
        ({"dimensions": 1e300}, "invalid_value", "dimensions", "integer"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], code: str, param: str, told: str) -> None:
    error = _error(fields)
    assert (error.status, error.code, error.param) == (400, code, param)
    assert told in error.message
    assert len(error.message) < 1000


def test_null_is_the_default() -> None:
    names = [name for name in EmbeddingParameters.model_fields if name != "model"]
    given = {"model": "m", **dict.fromkeys(names)}
    assert parameters(EmbeddingParameters, RequestBody(given), ()) == EmbeddingParameters(model="m")


def test_no_model() -> None:
    with pytest.raises(ApiError) as caught:
        parameters(EmbeddingParameters, RequestBody({"input": "x"}), ("input",))
    assert (caught.value.code, caught.value.param) == ("missing_parameter", "model")


def test_a_file_in_a_field_that_takes_none() -> None:
    with pytest.raises(ApiError) as caught:
        parameters(EmbeddingParameters, RequestBody({"model": "m"}, (("audio", b""),), is_form=True), ("file", "input"))
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "audio")
