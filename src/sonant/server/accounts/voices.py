"""Enrolled people by account and model: their names and speaker embeddings, without audio."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sonant.decoding.known_voices import (
    SAME_SECONDS,
    Person,
    checked_name,
    checked_vector,
    enrolled_before,
    people_of,
)
from sonant.errors import ConfigurationError
from sonant.extraction.voice_samples import VoiceSample
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import people, users, voice_recordings
from sonant.server.errors import ApiError, api_error

BYTES_A_RECORDING = 1000  # besides its vector, in memory
TIMES_A_VECTOR = 8  # bytes of comparisons with it, in float64


@dataclass(frozen=True)
class VoiceOwner:
    """The account, model and fingerprint that enrolled people belong to."""

    user_id: int
    model: str
    fingerprint: str


@dataclass(frozen=True)
class EnrolledPerson:
    """An enrolled person without vectors.

    Attributes:
        id, name, model: of the person.
        created: time of the first recording, unix seconds.
        recordings: number of them.
    """

    id: str
    name: str
    model: str
    created: int
    recordings: int


@dataclass(frozen=True)
class ExportedModel:
    """The people of an account who were enrolled with one model, and the fingerprint of their vectors."""

    model: str
    fingerprint: str
    people: list[Person]


class EnrolledVoices:
    """Enrolls, lists, renames, merges and deletes the people of an account.

    The people of one model and account have embeddings of one fingerprint; after its weights have changed, requests are
    refused with 409 until those people are forgotten.

    Args:
        most_recordings: of an account.
    """

    def __init__(self, database: Database, *, most_recordings: int) -> None:
        self._database, self._most = database, most_recordings

    async def num_bytes(self, user_id: int, model: str | None = None) -> int:
        """Return an upper estimate of the memory for the people of an account, and for comparisons with them.

        `model`: with which they were enrolled; None: with any.
        """
        lengths = func.coalesce(func.sum(func.length(voice_recordings.c.vector)), 0)
        query = select(func.count(), lengths).select_from(voice_recordings.join(people))
        query = query.where(people.c.user_id == user_id, *([] if model is None else [people.c.model == model]))
        count, total = await self._database.read(lambda connection: connection.execute(query).one())
        return int(count) * BYTES_A_RECORDING + int(total) * TIMES_A_VECTOR

    async def of(self, owner: VoiceOwner) -> list[Person]:
        """Return the people enrolled with a model. Raises ApiError 409: its weights have changed since."""

        def read(connection: Connection) -> list[Person]:
            _check_weights(connection, owner)
            return _people(connection, _belonging(owner))

        return await self._database.read(read)

    async def everyone(self, user_id: int) -> list[EnrolledPerson]:
        """Return all people of an account, in the order of enrollment."""
        return await self._database.read(lambda connection: _listed(connection, [people.c.user_id == user_id]))

    async def add(self, owner: VoiceOwner, name: str, sample: VoiceSample) -> tuple[EnrolledPerson, str, bool]:
        """Enroll a recording of a person, who is added if there is none of this name.

        Returns the person, the id of the recording, and False if this person's recording was enrolled before.

        Raises:
            ApiError: 400 for an invalid name, or too many recordings; 409: the model's weights have changed since.
            RecordingEnrolled: the recording is enrolled as another person.
        """
        name, vector = _named(name), checked_vector(sample.vector)

        def write(connection: Connection) -> tuple[EnrolledPerson, str, bool]:
            _lock(connection, owner.user_id)
            _check_weights(connection, owner)
            known = enrolled_before(name, vector, _alike(connection, owner, sample.speech_seconds))
            query = select(people.c.number).where(*_belonging(owner), people.c.name == name)
            person = connection.execute(query).scalar()
            if known is None:
                self._check_room(connection, owner.user_id)
                if person is None:
                    row = {"id": uuid4().hex, "user_id": owner.user_id, "model": owner.model, "name": name}
                    new = insert(people).returning(people.c.number)
                    person = connection.execute(new, {**row, "fingerprint": owner.fingerprint}).scalar_one()
                recording = {"id": uuid4().hex, "person": person, "vector": vector.astype("<f4").tobytes()}
                times = {"created": int(time.time()), "speech_seconds": sample.speech_seconds}
                connection.execute(insert(voice_recordings), recording | times)
            (listed,) = _listed(connection, [people.c.number == person])
            return listed, known or recording["id"], known is None

        return await self._database.write(write)

    def _check_room(self, connection: Connection, user_id: int) -> None:
        total = select(func.count()).select_from(voice_recordings.join(people)).where(people.c.user_id == user_id)
        if connection.execute(total).scalar_one() >= self._most:
            raise ApiError(
                400,
                "too_many_recordings",
                f"This account has {self._most} enrolled recordings, the most that are kept. Forget some, or ask the "
                "operator of this server for more (accounts.enrolled_recordings).",
            )

    async def rename(self, user_id: int, person_id: str, name: str) -> EnrolledPerson:
        """Rename a person. Raises ApiError 404: there is none of this id. 400: invalid name. 409: it is taken."""
        name = _named(name)

        def write(connection: Connection) -> EnrolledPerson:
            _lock(connection, user_id)
            person = _find(connection, user_id, person_id)
            connection.execute(update(people).where(people.c.number == person.number), {"name": name})
            return _listed(connection, [people.c.number == person.number])[0]

        try:
            return await self._database.write(write)
        except IntegrityError as error:
            message = f"There is another person called {name!r}. To make one of both, merge them."
            raise ApiError(409, "name_taken", message, param="name") from error

    async def merge(self, user_id: int, person_id: str, into: str) -> EnrolledPerson:
        """Move the recordings of a person to another one of the same model, and remove the first.

        Raises ApiError 404: there is no such person. 409: they were enrolled with different models.
        """

        def write(connection: Connection) -> EnrolledPerson:
            _lock(connection, user_id)
            person, other = _find(connection, user_id, person_id), _find(connection, user_id, into, param="into")
            if (person.model, person.fingerprint) != (other.model, other.fingerprint):
                raise ApiError(
                    409,
                    "different_models",
                    f"{person.name} was enrolled with {person.model}, {other.name} with {other.model}: their vectors "
                    "cannot be compared.",
                )
            if person.number != other.number:
                moved = update(voice_recordings).where(voice_recordings.c.person == person.number)
                connection.execute(moved, {"person": other.number})
                connection.execute(delete(people).where(people.c.number == person.number))
            return _listed(connection, [people.c.number == other.number])[0]

        return await self._database.write(write)

    async def forget(self, user_id: int, person_id: str) -> None:
        """Delete a person with all recordings. Raises ApiError 404: there is none of this id."""

        def write(connection: Connection) -> None:
            _lock(connection, user_id)
            connection.execute(delete(people).where(people.c.number == _find(connection, user_id, person_id).number))

        await self._database.write(write)

    async def forget_recording(self, user_id: int, recording_id: str) -> None:
        """Delete a recording, and its person with the last one. Raises ApiError 404: there is none of this id."""

        def write(connection: Connection) -> None:
            _lock(connection, user_id)
            query = select(people.c.number).join_from(people, voice_recordings)
            query = query.where(people.c.user_id == user_id, voice_recordings.c.id == recording_id)
            person = connection.execute(query).scalar()
            if person is None:
                raise ApiError(
                    404,
                    "recording_not_found",
                    f"No enrolled recording has the id {recording_id[:40]!r}; GET /v1/voice/export lists them.",
                    param="recording",
                )
            connection.execute(delete(voice_recordings).where(voice_recordings.c.id == recording_id))
            left = select(voice_recordings.c.number).where(voice_recordings.c.person == people.c.number).exists()
            connection.execute(delete(people).where(people.c.number == person, ~left))

        await self._database.write(write)

    async def forget_everyone(self, user_id: int) -> None:
        """Delete all people of an account."""
        query = delete(people).where(people.c.user_id == user_id)
        await self._database.write(lambda connection: connection.execute(query).rowcount)

    async def export(self, user_id: int) -> list[ExportedModel]:
        """Return all that is stored about the people of an account, by model."""

        def read(connection: Connection) -> list[ExportedModel]:
            query = select(people.c.model, people.c.fingerprint).where(people.c.user_id == user_id).distinct()
            owners = [VoiceOwner(user_id, row.model, row.fingerprint) for row in connection.execute(query)]
            return [
                ExportedModel(owner.model, owner.fingerprint, _people(connection, _belonging(owner)))
                for owner in sorted(owners, key=lambda owner: owner.model)
            ]

        return await self._database.read(read)


def _belonging(owner: VoiceOwner) -> list[Any]:
    return [people.c.user_id == owner.user_id, people.c.model == owner.model]


def _people(connection: Connection, conditions: list[Any]) -> list[Person]:
    columns = (people.c.id, people.c.name, voice_recordings.c.id, voice_recordings.c.vector)
    query: Select[Any] = select(*columns, voice_recordings.c.speech_seconds, voice_recordings.c.created)
    query = query.join_from(people, voice_recordings).where(*conditions)
    rows = connection.execute(query.order_by(people.c.number, voice_recordings.c.number))
    return people_of(tuple(row) for row in rows)


def _listed(connection: Connection, conditions: list[Any]) -> list[EnrolledPerson]:
    columns = (people.c.id, people.c.name, people.c.model)
    query: Select[Any] = select(*columns, func.min(voice_recordings.c.created), func.count())
    query = query.join_from(people, voice_recordings).where(*conditions)
    rows = connection.execute(query.group_by(people.c.number, *columns).order_by(people.c.number))
    return [EnrolledPerson(*row) for row in rows]


def _alike(connection: Connection, owner: VoiceOwner, seconds: float) -> list[tuple[str, str, bytes]]:
    """Return name of the person, id and vector of recordings with as much speech."""
    near = voice_recordings.c.speech_seconds.between(seconds - SAME_SECONDS, seconds + SAME_SECONDS)
    columns = (people.c.name, voice_recordings.c.id, voice_recordings.c.vector)
    query: Select[Any] = select(*columns).join_from(people, voice_recordings).where(*_belonging(owner), near)
    return [tuple(row) for row in connection.execute(query)]


def _find(connection: Connection, user_id: int, person_id: str, *, param: str = "id") -> Row[Any]:
    query = select(people).where(people.c.user_id == user_id, people.c.id == person_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ApiError(
            404,
            "person_not_found",
            f"No enrolled person has the id {person_id[:40]!r}; GET /v1/voice/people lists them.",
            param=param,
        )
    return row


def _lock(connection: Connection, user_id: int) -> None:
    """Let the changes to the people of one account happen one after the other. Raises ApiError 404: it was deleted."""
    query = select(users.c.id).where(users.c.id == user_id).with_for_update()
    if connection.execute(query).scalar() is None:
        raise ApiError(404, "user_not_found", "The account was deleted.")


def _check_weights(connection: Connection, owner: VoiceOwner) -> None:
    query = select(people.c.fingerprint).where(*_belonging(owner), people.c.fingerprint != owner.fingerprint)
    if connection.execute(query.limit(1)).scalar() is not None:
        raise ApiError(
            409,
            "voices_of_other_weights",
            f"The people of this account were enrolled when {owner.model} had other weights. Vectors of different "
            "weights cannot be compared: forget these people, and register them again.",
        )


def _named(name: str) -> str:
    try:
        return checked_name(name)
    except ConfigurationError as error:
        raise api_error(error, param="name") from error
