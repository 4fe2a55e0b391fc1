"""Enrolled people, and the identification of a voice among them, which may also be unknown."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.speaker_clustering import check_cosine
from sonant.decoding.speaker_turns import ANONYMOUS
from sonant.decoding.voice_calibration import VoiceCalibration, basis_of, comparable
from sonant.decoding.within_class import unit_vectors
from sonant.errors import ConfigurationError, MeasurementError, RecordingEnrolled

Vector = NDArray[np.float32]

MOST_CHARACTERS = 100  # of a name
SAME_SECONDS = 0.01  # two samples of one recording have as much speech, to less than half a frame
SAME_COSINE = 0.9995  # and almost the same vector, by whichever arithmetic


@dataclass(frozen=True, eq=False)
class EnrolledRecording:
    """One recording of an enrolled person; the samples are not kept.

    Attributes:
        id: unique in its store.
        vector: speaker embedding, float32 (dim,).
        speech_seconds: duration of the speech that the vector was computed from.
        created: unix seconds.
    """

    id: str
    vector: Vector
    speech_seconds: float
    created: int


@dataclass(frozen=True, eq=False)
class Person:
    """An enrolled person.

    Attributes:
        id: unique in its store; it stays when the person is renamed.
        name: unique among the people of one store and model.
        recordings: in the order of enrollment.
    """

    id: str
    name: str
    recordings: tuple[EnrolledRecording, ...]


@dataclass(frozen=True, eq=False)
class Enrollment:
    """The result of enrolling recordings.

    Attributes:
        person: as enrolled now.
        added: ids of the recordings that were added, in the order given.
        repeated: ids of recordings of this person that were given again, and do not count twice.
    """

    person: Person
    added: tuple[str, ...]
    repeated: tuple[str, ...]


@dataclass(frozen=True)
class VoiceMatch:
    """The likeness of a voice to that of one enrolled person.

    Attributes:
        id, name: of the person.
        score: cosine with the mean direction of the person's vectors, -1 to 1, after the calibration's normalization.
        probability: that the voice is this person's, if it is as likely as not that it belongs to an enrolled person,
            and each of them is equally likely; None without a calibration.
    """

    id: str
    name: str
    score: float
    probability: float | None


@dataclass(frozen=True)
class Identification:
    """The answer to "whose voice is this?".

    Attributes:
        matches: enrolled people, the most similar first.
        threshold: least score of an accepted match; None if no threshold is known for the model.
        basis: a sentence on the data that the threshold was set on.
    """

    matches: tuple[VoiceMatch, ...]
    threshold: float | None
    basis: str

    @property
    def person(self) -> VoiceMatch | None:
        """The accepted match; None: an unknown voice, or no threshold is known."""
        best = self.matches[0] if self.matches else None
        return best if best is not None and self.threshold is not None and best.score >= self.threshold else None

    @property
    def name(self) -> str | None:
        """The name of the accepted match; None as for `person`."""
        return None if self.person is None else self.person.name


@dataclass(frozen=True)
class KnownVoices:
    """The enrolled people of one model, and the calibration of its scores.

    Attributes:
        people: with at least one recording each.
        calibration: None: unknown for this model; scores are given without a verdict.
    """

    people: Sequence[Person]
    calibration: VoiceCalibration | None = None

    @cached_property
    def _means(self) -> NDArray[np.float64]:
        """The mean direction of each person's vectors: (people, dim), of length one."""
        vectors = np.stack([recording.vector for person in self.people for recording in person.recordings])
        starts = np.cumsum([0, *(len(person.recordings) for person in self.people)])[:-1]
        return unit_vectors(np.add.reduceat(comparable(vectors, self.calibration), starts, axis=0))

    def scores(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the cosine of each of (vectors, dim) with the mean direction of each person: (vectors, people)."""
        cosines: NDArray[np.float64] = comparable(vectors, self.calibration) @ self._means.T
        return cosines

    def threshold(self, given: float | None = None) -> float | None:
        """Return the least accepted score: the given one, or the calibration's for so many people."""
        if given is not None:
            check_cosine(given)
            return float(given)
        return None if self.calibration is None else self.calibration.threshold_among(len(self.people))

    def identify(self, vector: Vector, *, threshold: float | None = None, top: int | None = 5) -> Identification:
        """Find the enrolled people whose voices are most similar to a speaker embedding.

        Args:
            vector: (dim,), by the model of the enrolled vectors.
            threshold: least accepted cosine; None: the calibration's.
            top: number of matches to return; None: all.

        Raises:
            ConfigurationError: the threshold is no cosine, or top is less than 1.
        """
        if top is not None and top < 1:
            raise ConfigurationError(f"top={top} was given; expected 1 match or more, or None for all.")
        limit = self.threshold(threshold)
        basis = basis_of(self.calibration, is_given=threshold is not None)
        if not self.people:
            return Identification((), limit, basis)
        scores = self.scores(vector[None])[0]  # (people,)
        probabilities = [None] * len(scores) if self.calibration is None else self.calibration.posteriors(scores)
        order = np.argsort(-scores, kind="stable")[:top]
        matches = [
            VoiceMatch(self.people[i].id, self.people[i].name, float(scores[i]), probabilities[i]) for i in order
        ]
        return Identification(tuple(matches), limit, basis)

    def digest(self) -> str:
        """Return a short hash: equal ones give the same names."""
        facts = [exported(self.people, model=""), None if self.calibration is None else self.calibration.as_data()]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def names(self, vectors: NDArray[np.floating]) -> list[str | None]:
        """Return the names of the accepted matches of (vectors, dim); None for unknown voices.

        Raises ConfigurationError: no threshold is known for the model.
        """
        limit = self.threshold()
        if limit is None:
            raise ConfigurationError(
                "No threshold is known for this model, so its voices cannot be named. Calibrate it on labeled "
                "recordings: sonant voices calibrate MANIFEST."
            )
        if not self.people:
            return [None] * len(vectors)
        scores = self.scores(vectors)
        return [
            self.people[best].name if row[best] >= limit else None
            for row, best in zip(scores, scores.argmax(1), strict=True)
        ]


PersonRow = tuple[str, str, str, bytes, float, int]  # id, name; id, vector, speech_seconds, created of a recording


def people_of(rows: Iterable[PersonRow]) -> list[Person]:
    """Return the people of stored rows, one per recording, in the order of their first rows."""
    names: dict[str, str] = {}
    recordings: dict[str, list[EnrolledRecording]] = {}
    for person, name, recording, vector, seconds, created in rows:
        names[person] = name
        kept = EnrolledRecording(recording, np.frombuffer(vector, dtype="<f4"), seconds, created)
        recordings.setdefault(person, []).append(kept)
    return [Person(person, name, tuple(recordings[person])) for person, name in names.items()]


def checked_name(name: object) -> str:
    """Return the name of a person without blanks around it, in Unicode's normal form NFC.

    Raises ConfigurationError: no text, too long, control characters, or a name that diarization gives to the unknown.
    """
    text = unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else ""
    if not 0 < len(text) <= MOST_CHARACTERS or not text.isprintable():
        raise ConfigurationError(
            f"The name {str(name)[:40]!r} was given; expected 1 to {MOST_CHARACTERS} characters, on one line."
        )
    if ANONYMOUS.fullmatch(text):
        raise ConfigurationError(
            f"The name {text!r} was given; unknown speakers of a recording are called so. Take another name."
        )
    return text


def checked_vector(vector: NDArray[np.floating]) -> Vector:
    """Return a speaker embedding (dim,) as float32; raise MeasurementError if it is zero or not finite."""
    checked = np.ascontiguousarray(vector, dtype=np.float32)
    if checked.ndim != 1 or not np.isfinite(checked).all() or not checked.any():
        raise MeasurementError(
            f"A speaker embedding of shape {checked.shape} that is zero or not finite was given; it would spoil every "
            "comparison, and is not stored."
        )
    return checked


def enrolled_before(name: str, vector: Vector, alike: Iterable[tuple[str, str, bytes]]) -> str | None:
    """Return the id under which a recording of a person is enrolled already; None: it is not.

    Args:
        name: of the person.
        vector: of the recording.
        alike: name of the person, id and vector of enrolled recordings with as much speech, to `SAME_SECONDS`.

    Raises:
        RecordingEnrolled: it is enrolled as another person.
    """
    for owner, recording, stored in alike:
        one, other = unit_vectors(vector), unit_vectors(np.frombuffer(stored, dtype="<f4"))
        if one.shape == other.shape and one @ other >= SAME_COSINE:
            if owner != name:
                raise RecordingEnrolled(
                    f"This recording is enrolled as {owner!r} ({recording}) and cannot be {name!r} too. If both are "
                    "one person, merge them; if not, forget that recording first."
                )
            return recording
    return None


def exported(people: Iterable[Person], *, model: str) -> dict[str, Any]:
    """Return all that is stored about people as plain data for JSON; `model`: the fingerprint of their vectors."""
    return {
        "model": model,
        "people": [person_data(person) for person in people],
    }


def person_data(person: Person) -> dict[str, Any]:
    """Return all that is stored about a person as plain data for JSON."""
    return {
        "id": person.id,
        "name": person.name,
        "recordings": [
            {
                "id": recording.id,
                "created": recording.created,
                "speech_seconds": recording.speech_seconds,
                "vector": recording.vector.tolist(),
            }
            for recording in person.recordings
        ],
    }
