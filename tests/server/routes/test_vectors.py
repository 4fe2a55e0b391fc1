"""Arrays as JSON say exactly what they hold, in pieces of any size."""

import base64
from typing import Any

import numpy as np
import orjson
import pytest

from sonant.server.routes import vectors

SHAPES = [(1,), (256,), (7, 3), (2, 5, 3), (0, 4), (3, 0, 4), (2, 700, 256)]


def _json(array: np.ndarray, encoding: vectors.Encoding) -> Any:
    return orjson.loads(b"".join(vectors.as_json(array, encoding)))


@pytest.fixture(params=[12, vectors.PIECE])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "PIECE", request.param)


@pytest.mark.usefixtures("piece")
@pytest.mark.parametrize("shape", SHAPES)
def test_both_encodings_are_exact(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    told = _json(array, "float")
    assert np.array_equal(np.array(told, dtype=np.float32).reshape(shape), array)
    assert told == array.tolist() or np.allclose(told, array.tolist())
    packed = _json(array, "base64")
    assert packed == base64.b64encode(array.astype("<f4").tobytes()).decode()


def test_strides_do_not_matter() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    assert _json(array, "float") == array.tolist()
    assert np.array_equal(np.frombuffer(base64.b64decode(_json(array, "base64")), "<f4"), array.ravel())
