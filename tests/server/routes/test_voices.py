"""Enrolled voices over HTTP: with LocalAI's fields, by account, and kept."""

import base64
from typing import Any
from uuid import uuid4

import httpx2
import pytest

import sonant
from sonant.decoding.voice_calibration import VoiceCalibration
from tests.server.running import RunningServer
from tests.server.speech import clip
from tests.server.waiting import until

TINY = "sonant/wavlm-tiny"
ADA, ADA_TOO, CARLO = (clip(name, 4.0) for name in ("en-allison-welcome", "en-allison-queue", "it-carlo-queue"))


class Account:
    """A client with the key of an account of its own."""

    def __init__(self, server: RunningServer) -> None:
        self.email = f"{uuid4().hex}@example.org"
        self.base_url = f"{server.base_url}/v1"
        self.headers = {"Authorization": f"Bearer {server.new_key(self.email)}"}

    def post(self, verb: str, **body: Any) -> httpx2.Response:
        fields = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
                  for name, value in body.items()}  # fmt: skip
        return httpx2.post(f"{self.base_url}/voice/{verb}", headers=self.headers, json=fields, timeout=60)

    def get(self, verb: str) -> Any:
        return httpx2.get(f"{self.base_url}/voice/{verb}", headers=self.headers).json()


@pytest.fixture
def account(heads_server: RunningServer) -> Account:
    return Account(heads_server)


def test_a_voice_is_registered_identified_and_forgotten(account: Account) -> None:
    ada = account.post("register", model=TINY, name="Ada", audio=ADA).json()
    carlo = account.post("register", model=TINY, name="Carlo", audio=CARLO).json()
    again = account.post("register", model=TINY, name="Ada", audio=ADA_TOO).json()
    assert (again["id"], again["recordings"]) == (ada["id"], 2)
    answer = account.post("identify", model=TINY, audio=CARLO).json()
    assert [match["name"] for match in answer["matches"]] == ["Carlo", "Ada"]
    assert answer["matches"][0]["distance"] == pytest.approx(0, abs=1e-5)
    assert (answer["id"], answer["name"]) == (carlo["id"], "Carlo")
    assert account.post("forget", id=carlo["id"], model=TINY).status_code == 204
    assert account.post("forget", id=carlo["id"]).status_code == 404
    answer = account.post("identify", model=TINY, audio=CARLO, threshold=0.001, top_k=1).json()
    assert answer["id"] is answer["name"] is None
    assert [match["match"] for match in answer["matches"]] == [False]


def test_one_recording_is_forgotten_and_its_person_with_the_last(heads_server: RunningServer, account: Account) -> None:
    first, second = (account.post("register", model=TINY, name="Ada", audio=audio).json() for audio in (ADA, ADA_TOO))
    assert Account(heads_server).post("forget", recording=first["recording"]).status_code == 404
    assert account.post("forget", recording=first["recording"], id=first["id"]).status_code == 400
    assert account.post("forget", recording=first["recording"]).status_code == 204
    (model,) = account.get("export")["models"]
    assert [each["id"] for each in model["people"][0]["recordings"]] == [second["recording"]]
    assert account.post("forget", recording=first["recording"]).json()["error"]["code"] == "recording_not_found"
    assert account.post("forget", recording=second["recording"]).status_code == 204
    assert account.get("people")["data"] == account.get("export")["models"] == []


def test_vectors_and_scores_are_those_of_python(account: Account, tmp_path: Any) -> None:
    voices = sonant.Voices(tmp_path / "people.voices", TINY)
    voices.enroll("Ada", [ADA, ADA_TOO])
    for recording in (ADA, ADA_TOO):
        account.post("register", model=TINY, name="Ada", audio=recording)
    (match,) = account.post("identify", model=TINY, audio=CARLO).json()["matches"]
    (expected,) = voices.identify(CARLO).matches
    assert match["distance"] == pytest.approx(1 - expected.score, abs=1e-4)
    assert match["probability"] == pytest.approx(expected.probability, abs=1e-3)
    vector = account.post("embed", model=TINY, audio=ADA).json()
    sample = voices.encoder.voice_samples(ADA)
    assert vector["dim"] == len(vector["embedding"]) == len(sample.vector)
    assert voices.encoder.similarity(sample.vector, sonant.api.encoder.np.array(vector["embedding"])) > 0.99999
    assert vector["speech_seconds"] == pytest.approx(sample.speech_seconds, abs=0.01)


def test_verification_has_the_fields_of_localai(account: Account) -> None:
    answer = account.post("verify", model=TINY, audio1=ADA, audio2=ADA).json()
    assert {"verified", "distance", "threshold", "confidence", "model", "processing_time_ms"} <= set(answer)
    assert answer["verified"] is True
    assert answer["distance"] == pytest.approx(0, abs=1e-5)
    assert answer["confidence"] == pytest.approx(100 * answer["probability"], abs=0.01)
    other = account.post("verify", model=TINY, audio1=ADA, audio2=CARLO).json()
    assert other["probability"] < answer["probability"]
    assert account.post("verify", model=TINY, audio1=ADA, audio2=CARLO, threshold=2).json()["verified"] is True


def test_without_a_calibration_there_is_no_verdict(account: Account) -> None:
    answer = account.post("verify", model="voices", audio1=ADA, audio2=ADA).json()
    assert answer["verified"] is answer["threshold"] is answer["confidence"] is None
    account.post("register", model="voices", name="Ada", audio=ADA)
    answer = account.post("identify", model="voices", audio=ADA).json()
    assert answer["name"] is answer["matches"][0]["match"] is None
    refused = account.post("../audio/diarizations", model="voices", file=ADA, num_speakers=1, voices=True)
    assert refused.json()["error"]["code"] == "no_calibration"


def test_accounts_do_not_know_each_other(heads_server: RunningServer, account: Account) -> None:
    ada = account.post("register", model=TINY, name="Ada", audio=ADA).json()
    other = Account(heads_server)
    assert other.post("identify", model=TINY, audio=ADA).json()["matches"] == []
    assert other.get("people")["data"] == []
    for verb, more in (("forget", {}), ("rename", {"name": "Eve"}), ("merge", {"into": ada["id"]})):
        assert other.post(verb, id=ada["id"], **more).status_code == 404
    assert account.get("people")["data"][0]["name"] == "Ada"


def test_people_are_renamed_merged_and_exported(account: Account) -> None:
    ada, carlo = (account.post("register", model=TINY, name=name, audio=audio).json()
                  for name, audio in (("Ada", ADA), ("Carlo", CARLO)))  # fmt: skip
    assert account.post("rename", id=ada["id"], name="Carlo").json()["error"]["code"] == "name_taken"
    assert account.post("rename", id=ada["id"], name="speaker_1").status_code == 400
    assert account.post("rename", id=ada["id"], name="Ada L.").json()["name"] == "Ada L."
    merged = account.post("merge", id=carlo["id"], into=ada["id"]).json()
    assert (merged["name"], merged["recordings"]) == ("Ada L.", 2)
    (model,) = account.get("export")["models"]
    assert (model["model"], model["people"][0]["name"]) == (TINY, "Ada L.")
    assert len(model["people"][0]["recordings"][1]["vector"]) == 256
    other = account.post("register", model="voices", name="Ada", audio=ADA).json()
    assert account.post("merge", id=other["id"], into=ada["id"]).json()["error"]["code"] == "different_models"
    assert account.post("forget", everyone=True).status_code == 204
    assert account.get("people")["data"] == account.get("export")["models"] == []
    for body in ({}, {"id": ada["id"], "everyone": True}, {"id": 7}):
        assert account.post("forget", **body).status_code == 400


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (clip("en-allison-welcome", 1.0), "too_little_speech"),
        (b"no audio " * 20, "invalid_audio"),
        (None, "missing_parameter"),
    ],
)
def test_recordings_that_would_spoil_the_store_are_refused(account: Account, audio: bytes | None, code: str) -> None:
    response = account.post("register", model=TINY, name="Mallory", audio=audio)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert account.get("people")["data"] == []


def test_the_same_recording_counts_once(account: Account) -> None:
    first, again = (account.post("register", model=TINY, name="Ada", audio=ADA).json() for _ in range(2))
    assert (first["added"], again["added"]) == (True, False)
    assert (again["recording"], again["recordings"]) == (first["recording"], 1)
    refused = account.post("register", model=TINY, name="Eve", audio=ADA)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "recording_enrolled")
    assert "'Ada'" in refused.json()["error"]["message"]
    assert [person["name"] for person in account.get("people")["data"]] == ["Ada"]


def test_errors_name_the_field(account: Account) -> None:
    ada = account.post("register", model=TINY, name="Ada", audio=ADA).json()
    for verb, body, param in (
        ("merge", {"id": "0a", "into": ada["id"]}, "id"),
        ("merge", {"id": ada["id"], "into": "0a"}, "into"),
        ("rename", {"id": "0a", "name": "Eve"}, "id"),
        ("forget", {"id": "0a"}, "id"),
    ):
        error = account.post(verb, **body).json()["error"]
        assert (error["code"], error["param"]) == ("person_not_found", param)


def test_enrolled_voices_are_bounded_and_counted(heads_server: RunningServer, account: Account) -> None:
    """A large store is read within the memory that requests may hold, and no account may grow without end."""
    account.post("register", model=TINY, name="Ada", audio=ADA)
    account.post("register", model=TINY, name="Carlo", audio=CARLO)
    services = heads_server.services
    voices, memory = services.accounts.voices, services.workload.bytes
    user = heads_server.run(services.accounts.users.search(account.email))[0]
    assert heads_server.run(voices.num_bytes(user.id, TINY)) >= 2 * 8 * 256 * 4
    assert heads_server.run(voices.num_bytes(user.id, "voices")) == 0
    voices._most = 2
    try:
        refused = account.post("register", model=TINY, name="Ada", audio=ADA_TOO).json()
    finally:
        voices._most = 1000
    assert refused["error"]["code"] == "too_many_recordings"
    assert "enrolled_recordings" in refused["error"]["message"]
    total, memory.total = memory.total, 40_000
    memory.add(40_000, ("another network", "another account"))
    try:
        assert account.get("export")["error"]["code"] == "server_is_overloaded"
    finally:
        memory.give_back(40_000, ("another network", "another account"))
        memory.total = total
    assert len(account.get("export")["models"][0]["people"]) == 2
    until(lambda: memory.free == memory.total)  # the answer is given back a moment after the client has it


def test_changed_weights_are_refused(heads_server: RunningServer, account: Account) -> None:
    account.post("register", model=TINY, name="Ada", audio=ADA)
    model = heads_server.services.models.get(TINY)
    before = model._voices
    model._voices = ("other weights", before[1])
    try:
        for response in (
            account.post("identify", model=TINY, audio=ADA),
            account.post("register", model=TINY, name="Ada", audio=ADA),
        ):
            assert (response.status_code, response.json()["error"]["code"]) == (409, "voices_of_other_weights")
    finally:
        model._voices = before


def test_diarization_names_who_is_enrolled(heads_server: RunningServer, account: Account) -> None:
    account.post("register", model=TINY, name="Carlo", audio=CARLO)
    model = heads_server.services.models.get(TINY)
    heads_server.run(model.voices())
    before = model._voices
    model._voices = (before[0], VoiceCalibration((0.0,), "Set in this test.", 5.0, 0.0))
    try:
        body = {"model": TINY, "file": CARLO, "num_speakers": 1}
        named = account.post("../audio/diarizations", **body, voices=True).json()
        plain = account.post("../audio/diarizations", **body).json()
    finally:
        model._voices = before
    assert {segment["speaker"] for segment in named["segments"]} == {"Carlo"}
    assert {segment["speaker"] for segment in plain["segments"]} == {"speaker_0"}


def test_emotions_are_analyzed_by_a_head(account: Account) -> None:
    (segment,) = account.post("analyze", model="emotions", audio=ADA).json()["segments"]
    assert segment["dominant_emotion"] == max(segment["emotion"], key=segment["emotion"].get)
    assert segment["scores"] == segment["emotion"]
    (segment,) = account.post("analyze", model="emotions", audio=ADA, actions=["age"]).json()["segments"]
    assert set(segment) == {"start", "end", "scores"}
    refused = account.post("analyze", model=TINY, audio=ADA)
    assert refused.status_code == 400
    assert "emotions" in refused.json()["error"]["message"]


def test_people_go_with_their_account(heads_server: RunningServer, account: Account) -> None:
    from sonant.server.accounts.voices import VoiceOwner

    account.post("register", model=TINY, name="Ada", audio=ADA)
    services = heads_server.services
    user = heads_server.run(services.accounts.users.search(account.email))[0]
    owner = VoiceOwner(user.id, TINY, heads_server.run(services.models.get(TINY).voices())[0])
    assert len(heads_server.run(services.accounts.voices.of(owner))) == 1
    heads_server.run(services.accounts.users.delete(user.id, by="tests"))
    assert heads_server.run(services.accounts.voices.of(owner)) == []
