"""The playground's modules against numpy and soundfile: transforms, files, cosines."""

import ast
import base64
import io
import json
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page

from tests.server.running import RunningServer
from tests.server.web.conftest import HOSTILE

Evaluate = Callable[..., Any]


@pytest.fixture
def module(page: Page, server: RunningServer) -> Evaluate:
    """Run a function body with a module's names in scope: `module("wav", "return m.encodeWav(...)", argument)`."""
    page.goto("/sign-in")  # any page of this origin

    def evaluate(name: str, body: str, argument: Any = None) -> Any:
        address = json.dumps(f"/static/playground/{name}.js")
        return page.evaluate(f"async (given) => {{ const m = await import({address}); {body} }}", argument)

    return evaluate


def test_power_spectrum_is_that_of_numpy(module: Evaluate) -> None:
    frame = np.random.default_rng(0).standard_normal(512)
    power = module(
        "fourier",
        "const power = new Float32Array(257); new m.Fourier(512).power(Float32Array.from(given), power);"
        "return [...power];",
        frame.tolist(),
    )
    assert np.allclose(power, np.abs(np.fft.rfft(frame)) ** 2, rtol=1e-4, atol=1e-3)


def test_transform_takes_powers_of_two_only(module: Evaluate) -> None:
    told = module("fourier", "try { new m.Fourier(400); } catch (error) { return error.message; }")
    assert "400" in told


@pytest.mark.parametrize("hertz", [250, 1000, 5000])
def test_spectrogram_finds_a_tone(module: Evaluate, hertz: int) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)
    analyzed = module(
        "spectrogram",
        "const { decibels, columns, bins } = m.spectrogram(Float32Array.from(given), 16000);"
        "return { decibels: [...decibels], columns, bins };",
        tone.tolist(),
    )
    decibels = np.reshape(analyzed["decibels"], (analyzed["columns"], analyzed["bins"]))  # (columns, bins)
    assert decibels.shape == (50, 257)
    assert abs(decibels[25].argmax() * 8000 / 256 - hertz) <= 8000 / 256


def test_mel_axis_goes_there_and_back(module: Evaluate) -> None:
    hertz = [0, 60, 440, 4000, 8000]
    assert np.allclose(module("spectrogram", "return given.map((f) => m.hertz(m.mel(f)));", hertz), hertz)
    assert module("spectrogram", "return m.mel(1000);") == pytest.approx(1000, abs=0.1)  # how the scale is defined


def test_wav_comes_back_as_it_was(module: Evaluate) -> None:
    samples = np.clip(np.random.default_rng(1).standard_normal(1000) / 3, -1, 0.9999).astype(np.float32)
    text = module(
        "wav",
        "const bytes = new Uint8Array(m.encodeWav(Float32Array.from(given), 16000));"
        "return btoa(String.fromCharCode(...bytes));",
        samples.tolist(),
    )
    read, rate = soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="float32")
    assert rate == 16000
    assert np.abs(read - samples).max() <= 0.5 / 32768 + 1e-7


def test_wav_clips_what_is_too_loud(module: Evaluate) -> None:
    view = "const view = new DataView(m.encodeWav(Float32Array.from([2, -2]), 16000));"
    assert module("wav", view + "return [view.getInt16(44, true), view.getInt16(46, true)];") == [32767, -32768]


def test_cosines_are_those_of_numpy(module: Evaluate) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((5, 8)), rng.standard_normal((3, 8))
    matrix = module(
        "similarity",
        "return [...m.cosineMatrix(Float32Array.from(given.a), Float32Array.from(given.b), 8)];",
        {"a": a.ravel().tolist(), "b": b.ravel().tolist()},
    )
    expected = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    assert np.allclose(np.reshape(matrix, (5, 3)), expected, atol=1e-6)
    one = module("similarity", "return m.cosine(given[0], given[1]);", [a[0].tolist(), b[0].tolist()])
    assert one == pytest.approx(expected[0, 0])


def test_silence_has_no_direction(module: Evaluate) -> None:
    assert module("similarity", "return m.cosine([0, 0], [1, 2]);") == 0
    assert module("similarity", "return [...m.cosineMatrix(new Float32Array(4), new Float32Array(4), 2)];") == [0] * 4


def test_thinning_takes_means(module: Evaluate) -> None:
    frames = np.arange(14, dtype=np.float32).reshape(7, 2)
    thin = module(
        "similarity",
        "const { frames, rows, perRow } = m.thinned(Float32Array.from(given), 2, 3);"
        "return { frames: [...frames], rows, perRow };",
        frames.ravel().tolist(),
    )
    assert (thin["rows"], thin["perRow"]) == (3, 3)
    expected = [frames[:3].mean(0), frames[3:6].mean(0), frames[6:].mean(0)]
    assert np.allclose(np.reshape(thin["frames"], (3, 2)), expected)


def test_base64_is_read_as_little_endian_floats(module: Evaluate) -> None:
    numbers = np.array([1.5, -2.25, 3e-8], dtype="<f4")
    assert module("api", "return [...m.asFloats(given)];", base64.b64encode(numbers).decode()) == numbers.tolist()


def test_code_to_take_along_can_be_read(module: Evaluate, page: Page) -> None:
    """As Python, as words of a shell and as JavaScript, whatever the name of the model."""
    both = "m.embeddingSnippets(given, model, {layer: 6, output: 'frames'}), m.transcriptionSnippets(given, model)"
    for name in ("a/b", HOSTILE):
        model = f"const model = {json.dumps(name)}; "
        for snippets in module("snippets", f"{model} return [{both}];", "http://127.0.0.1:8000"):
            ast.parse(snippets["python"])
            words = shlex.split(snippets["curl"])
            assert words[1].startswith("http://127.0.0.1:8000/v1/")
            assert f"model={name}" in words
            imported, _, rest = snippets["javascript"].partition("\n")
            assert imported == 'import { openAsBlob } from "node:fs";'
            page.evaluate(f"() => {{ async function unused() {{ {rest} }} }}")  # an error of syntax is raised


@pytest.mark.parametrize(("amount", "words"), [(0, "0 USD"), (0.0000373, "0.000037 USD"), (2.5, "2.50 USD")])
def test_money_has_digits_that_say_something(module: Evaluate, amount: float, words: str) -> None:
    assert module("ledger", "return m.money(given, 'USD');", amount) == words


@pytest.mark.parametrize("rows", [1, 7, 99999])
def test_vectors_are_files_of_numpy(module: Evaluate, rows: int) -> None:
    """Of every length of the header: its shape has one to five digits."""
    values = np.arange(rows * 2, dtype=np.float32) / 3
    file = module(
        "download",
        "const values = Float32Array.from({ length: 2 * given }, (_, i) => i / 3);"
        "return btoa(Array.from(m.npy(values, [given, 2]), (byte) => String.fromCharCode(byte)).join(''));",
        rows,
    )
    assert np.array_equal(np.load(io.BytesIO(base64.b64decode(file))), values.reshape(rows, 2))


def test_vectors_are_json(module: Evaluate) -> None:
    text = module("download", "return m.vectorsAsJson(Float32Array.of(1, 2, 3, 4.5), 2, { layer: 6 });")
    assert json.loads(text) == {"layer": 6, "shape": [2, 2], "vectors": [[1, 2], [3, 4.5]]}
