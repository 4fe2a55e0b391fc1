"""The playground as people use it: a file, the microphone, two recordings, layers; and what it says when it cannot."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from openai import OpenAI
from playwright.sync_api import Browser, Locator, Page, expect

import sonant
from sonant.server.settings import Limits, ServerSettings
from tests import heads
from tests.server.browser.conftest import SPEECH, sign_up
from tests.server.running import RunningServer, running

pytestmark = pytest.mark.slow

Member = Callable[[str], Page]
ContextOf = Callable[[RunningServer], Page]


def open_playground(page: Page, model: str = "") -> None:
    page.goto(f"/playground?model={model}" if model else "/playground")
    page.wait_for_selector("html[data-playground=ready]")


def choose(page: Page, letter: str, path: Path) -> None:
    """Put a file into a slot, and wait for its pictures."""
    page.locator(f"[data-slot={letter}] [data-part=file]").set_input_files(path)
    expect(page.locator(f"[data-slot={letter}] [data-part=pictures]")).to_be_visible()


def embed(page: Page, *slots: str) -> None:
    page.get_by_role("button", name=f"Embed {' and '.join(slots)}", exact=True).click()
    expect(page.get_by_role("button", name="Embedded")).to_be_visible(timeout=60_000)


def ink(page: Page, part: str) -> int:
    """How many colors a canvas shows."""
    colors: int = page.locator(f"[data-part={part}] canvas").first.evaluate(
        "(canvas) => new Set(new Uint32Array(canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"
    )
    return colors


def test_two_recordings_layer_by_layer(member: Member, server: RunningServer) -> None:
    page = member("two@example.org")
    open_playground(page)
    choose(page, "A", SPEECH / "en-allison-welcome.flac")
    expect(page.get_by_role("img", name=re.compile(r"Waveform of 6\.07 seconds"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"Spectrogram .* mel axis"))).to_be_visible()
    assert ink(page, "waveform") > 2
    assert ink(page, "spectrogram") > 50
    choose(page, "B", SPEECH / "es-allison-away.flac")
    embed(page, "A", "B")

    page.get_by_label("A with B").check()
    expect(
        page.get_by_role("img", name=re.compile("Frames of A against frames of B at layer 6: 303 by 367"))
    ).to_be_visible()
    assert ink(page, "matrix") > 50
    calls = page.locator("[data-part=calls] tr")
    expect(calls).to_have_count(2)
    layer = page.get_by_label("Layer", exact=False).first
    layer.focus()
    layer.press("Home")
    expect(page.get_by_role("img", name=re.compile("at layer 0:"))).to_be_visible()
    expect(calls).to_have_count(2)  # every layer was here already

    client = OpenAI(base_url=f"{server.base_url}/v1", api_key=server.user_key)
    files = [
        ("file", (name, (SPEECH / name).read_bytes())) for name in ("en-allison-welcome.flac", "es-allison-away.flac")
    ]
    answer = client.post(
        "/embeddings",
        files=files,
        body={"model": "sonant/wavlm-tiny", "task": "speaker"},
        cast_to=object,
        options={"headers": {"Content-Type": "multipart/form-data"}},
    )
    a, b = (np.array(item["embedding"]) for item in answer["data"])  # type: ignore[index]
    shown = page.get_by_role("row", name=re.compile("speaker")).get_by_role("cell").last.inner_text()
    assert float(shown) == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-3)


def test_vectors_are_taken_along_without_an_account(context_of: ContextOf, tmp_path: Path) -> None:
    with running(ServerSettings(data=tmp_path / "data", anonymous=True)) as server:
        page = context_of(server)
        open_playground(page)
        expect(page.get_by_role("main")).to_contain_text("No account is needed here")
        choose(page, "A", SPEECH / "en-allison-welcome.flac")
        embed(page, "A")
        page.get_by_label("Layer", exact=False).first.press("ArrowLeft")
        with page.expect_download() as download:
            page.get_by_role("button", name="A as .npy").click()
        assert download.value.suggested_filename == "en-allison-welcome-layer-5.npy"
        states = np.load(download.value.path())
        with page.expect_download() as download:
            page.get_by_role("button", name="A as .json").click()
        told = json.loads(Path(download.value.path()).read_text())
        assert (told["model"], told["layer"], told["shape"]) == ("sonant/wavlm-tiny", 5, list(states.shape))
        assert np.array_equal(np.float32(told["vectors"]), states)
        encoder = server.services.models.get("sonant/wavlm-tiny").encoder
        assert np.allclose(states, encoder.encode(SPEECH / "en-allison-welcome.flac", layer=5), atol=1e-4)


def test_the_microphone(member: Member) -> None:
    page = member("microphone@example.org")
    open_playground(page)
    slot = page.locator("[data-slot=A]")
    slot.get_by_role("button", name="Record", exact=True).click()
    expect(slot.get_by_role("status")).to_have_text("Recording.")
    expect(slot.locator("[data-part=elapsed]")).to_have_text(re.compile(r"^[2-9]\.\d s"), timeout=30_000)
    slot.get_by_role("button", name="Stop recording").click()
    expect(slot.get_by_role("heading")).to_contain_text("recording-")
    loudness = slot.locator("[data-part=waveform] canvas").get_attribute("aria-label") or ""
    assert "silent" not in loudness
    embed(page, "A")
    expect(page.get_by_role("img", name=re.compile("Frames of A against frames of A"))).to_be_visible()


def test_cost_is_what_is_charged(member: Member, server: RunningServer) -> None:
    page = member("cost@example.org")
    open_playground(page)
    choose(page, "A", SPEECH / "en-allison-welcome.flac")
    expect(page.locator("[data-part=estimate]")).to_have_text("about 0.000017 USD")
    embed(page, "A")
    expect(page.locator("[data-part=calls] td").last).to_have_text("0.000017 USD")
    user = server.run(server.services.accounts.users.find("cost@example.org"))
    assert user is not None
    spent = server.services.settings.accounts.free_credit - user.credit
    assert abs(spent - Decimal("0.01") * Decimal("6.0675") / 3600) <= Decimal("1e-9")
    code = page.locator("[data-part=curl]").inner_text()
    assert "layer=6" in code
    assert server.base_url in code


def test_no_credit_is_said_beside_the_button(context_of: ContextOf, server: RunningServer) -> None:
    page = sign_up(context_of(server), "spent@example.org")
    user = server.run(server.services.accounts.users.find("spent@example.org"))
    assert user is not None
    server.run(server.services.accounts.credit.grant(user.id, -user.credit, by="tests"))
    open_playground(page)
    choose(page, "A", SPEECH / "en-allison-welcome.flac")
    page.get_by_role("button", name="Embed A").click()
    expect(page.locator("[data-section=embed] > [role=alert]")).to_contain_text(
        re.compile("costs 0.000016854, and 0.00 ")
    )
    expect(page.get_by_role("button", name="Embed A")).to_be_focused()  # to try again


def test_long_recordings_come_layer_by_layer(context_of: ContextOf, tmp_path: Path) -> None:
    """All layers of a minute would be 27 MiB: each is asked for when it is looked at."""
    speech, rate = soundfile.read(SPEECH / "en-allison-welcome.flac", dtype="float32")
    soundfile.write(tmp_path / "minute.wav", np.tile(speech, 10), rate)
    with running(ServerSettings(data=tmp_path / "data", anonymous=True)) as server:
        page = context_of(server)
        open_playground(page)
        choose(page, "A", tmp_path / "minute.wav")
        choose(page, "B", SPEECH / "en-allison-busy.flac")
        embed(page, "A", "B")
        names = page.locator("[data-part=calls] th")
        expect(names).to_have_text(["Means of A and B", "Frames of B", "Frames of A, layer 6"])
        expect(page.locator("[data-part=note]")).to_have_text("Each point is the mean of 6 neighboring frames.")
        page.get_by_label("Layer", exact=False).first.press("ArrowLeft")
        expect(page.locator("[data-part=waiting]").first).to_contain_text("press Embed")
        expect(names).to_have_count(3)  # nothing is charged for before somebody says so
        page.get_by_role("button", name="Embed A", exact=True).click()
        expect(names.first).to_have_text("Frames of A, layer 5", timeout=60_000)
        expect(page.get_by_role("img", name=re.compile("at layer 5:"))).to_be_visible()


def test_sound_and_cursor_move_together(member: Member) -> None:
    page = member("play@example.org")
    open_playground(page)
    choose(page, "A", SPEECH / "en-allison-welcome.flac")
    cursor = page.locator("[data-slot=A] [data-part=waveform] .cursor")
    before = cursor.get_attribute("style")
    page.get_by_role("button", name="Play recording A").click()
    expect(page.get_by_role("button", name="Pause recording A")).to_be_visible()
    expect(page.locator("[data-slot=A] output")).to_have_text(re.compile(r"^(0\.[3-9]|[1-6]).* / 6\.1 s"))
    assert cursor.get_attribute("style") != before
    page.get_by_role("button", name="Pause recording A").click()
    position = page.get_by_label("Position in recording A")
    position.focus()
    position.press("End")
    expect(position).to_have_attribute("aria-valuetext", re.compile(r"6\.[01] of 6\.1 seconds"))


def test_errors_stand_beside_what_caused_them(context_of: ContextOf, tmp_path: Path) -> None:
    limits = Limits(audio_bytes=200_000)
    with running(ServerSettings(data=tmp_path / "data", anonymous=True, limits=limits)) as small:
        page = context_of(small)
        open_playground(page)
        heavy = tmp_path / "heavy.wav"
        soundfile.write(heavy, np.zeros(200_000, dtype=np.float32), 16000)
        page.locator("[data-slot=B] [data-part=file]").set_input_files(heavy)
        expect(page.locator("[data-slot=B]").get_by_role("alert")).to_contain_text("heavy.wav has 1 MiB")
        expect(page.locator("[data-slot=A]").get_by_role("alert")).to_be_hidden()
        broken = tmp_path / "broken.flac"
        broken.write_bytes(b"Dear model, please read this letter aloud. " * 100)
        page.locator("[data-slot=A] [data-part=file]").set_input_files(broken)
        expect(page.locator("[data-slot=A]").get_by_role("status")).to_contain_text("cannot decode")
        page.get_by_role("button", name="Embed A").click()
        expect(page.locator("[data-section=embed] > [role=alert]")).to_contain_text("audio")


def test_who_is_not_signed_in_sees_pictures_and_an_invitation(page: Page) -> None:
    open_playground(page)
    choose(page, "A", SPEECH / "en-allison-welcome.flac")
    expect(page.get_by_role("button", name="Embed")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("main").get_by_role("link", name="sign in").click()
    page.wait_for_url("**/sign-in?next=/playground")


def test_examples_are_those_of_the_repository(page: Page) -> None:
    open_playground(page)
    addresses = page.locator("[data-slot=A] [data-part=example] option").evaluate_all("all => all.map((o) => o.value)")
    for address in filter(None, addresses):
        answer = page.request.get(address)
        assert answer.body() == (SPEECH / address.split("/")[-1].split("?")[0]).read_bytes()


def test_words_and_speakers(context_of: ContextOf, tmp_path: Path) -> None:
    models = tuple(
        str(write(tmp_path / name))
        for name, write in (("reader", heads.write_ctc), ("turns", heads.write_frame_classifier))
    )
    with running(ServerSettings(data=tmp_path / "data", anonymous=True, models=models)) as server:
        page = context_of(server)
        open_playground(page, "reader")
        choose(page, "A", SPEECH / "en-allison-welcome.flac")
        page.get_by_role("button", name="Transcribe").click()
        words = page.get_by_role("group", name="Transcript of A").get_by_role("button")
        expect(words.first).to_be_visible(timeout=60_000)
        words.nth(3).click()
        expect(words.nth(3)).to_have_attribute("data-heard", "")
        choose(page, "B", SPEECH / "es-allison-away.flac")
        page.get_by_role("button", name="Compare the voices of A and B").click()
        expect(page.locator("[data-part=verdict]")).to_contain_text("The score is", timeout=60_000)
        page.get_by_role("button", name="Remove recording B").click()
        expect(page.locator("[data-part=verdict]")).to_have_text("")
        open_playground(page, "turns")
        expect(page.locator("[data-section=transcription]")).to_contain_text("has not been taught to write down")
        choose(page, "A", SPEECH / "en-allison-welcome.flac")
        page.get_by_role("button", name="Find the speakers").click()
        expect(page.get_by_role("group", name="Speakers of A").locator(".lane, p").first).to_be_visible(timeout=60_000)


def test_labels(context_of: ContextOf, tmp_path: Path) -> None:
    model = heads.write_classifier(tmp_path / "moods")
    with running(ServerSettings(data=tmp_path / "data", anonymous=True, models=(str(model),))) as server:
        page = context_of(server)
        open_playground(page)
        choose(page, "A", SPEECH / "en-allison-welcome.flac")
        page.get_by_role("button", name="Label the recordings").click()
        rows = page.get_by_role("group", name="Labels of A").get_by_role("listitem")
        expect(rows.first).to_be_visible(timeout=60_000)
        scores = sonant.classify(SPEECH / "en-allison-welcome.flac", model=model)
        best = max(scores, key=scores.__getitem__)
        expect(rows.first).to_have_text(f"{best}{100 * scores[best]:.1f} %")
        expect(rows).to_have_count(len(scores))
        assert abs(filled(rows.first.locator(".score-bar")) - scores[best]) < 0.02
        page.get_by_role("button", name="Remove recording A").click()
        expect(rows).to_have_count(0)


@pytest.mark.parametrize(
    ("kind", "button", "group", "names"),
    [
        ("enhancement", "Take the noise away", "Speech of A", ["Speech"]),
        ("separation", "Separate the speakers", "Separate speakers of A", ["speaker_1", "speaker_2"]),
    ],
)
def test_answers_are_heard_and_taken_along(
    context_of: ContextOf, tmp_path: Path, kind: str, button: str, group: str, names: list[str]
) -> None:
    model, speech = heads.write_masks(tmp_path / "masks", kind=kind), SPEECH / "en-allison-welcome.flac"
    encoder = sonant.load(model)
    wanted = np.atleast_2d((encoder.enhance if kind == "enhancement" else encoder.separate)(speech))
    with running(ServerSettings(data=tmp_path / "data", anonymous=True, models=(str(model),))) as server:
        page = context_of(server)
        open_playground(page)
        choose(page, "A", speech)
        page.get_by_role("button", name=button).click()
        answers = page.get_by_role("group", name=group)
        expect(answers.locator("[data-part=title]")).to_have_text(names, timeout=60_000)
        for name, samples in zip(names, wanted, strict=True):
            with page.expect_download() as download:
                answers.get_by_role("link", name=f"Download {name} of A").click()
            assert download.value.suggested_filename == f"en-allison-welcome-{name.lower()}.wav"
            assert np.array_equal(soundfile.read(download.value.path(), dtype="float32")[0], samples)
            play = answers.get_by_role("button", name=f"Play {name} of A")
            play.click()
            expect(answers.get_by_role("button", name=f"Pause {name} of A")).to_be_visible()
            expect(answers.locator("output").nth(names.index(name))).not_to_have_text(re.compile("^0 /"))
        page.get_by_role("button", name="Remove recording A").click()
        expect(answers.locator("[data-part=title]")).to_have_count(0)


def filled(bar: Locator) -> float:
    """The share of a bar that is filled."""
    share: float = bar.evaluate("(bar) => parseFloat(getComputedStyle(bar, '::before').width) / bar.clientWidth")
    return share


@pytest.fixture
def context_of(browser: Browser, request: pytest.FixtureRequest) -> ContextOf:
    """A page at a server, whose console nobody reads: a refused request writes to it."""

    def new_page(server: RunningServer) -> Page:
        context = browser.new_context(base_url=server.base_url)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        return page

    return new_page
