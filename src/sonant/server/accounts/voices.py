"""Enrolled people by account and model: their names and speaker embeddings, without audio."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sonant.decoding.known_voices import Person, checked_name, checked_vector, exported, people_of
from sonant.errors import ConfigurationError
from sonant.extraction.voice_samples import VoiceSample
from sonant.server.accounts.database import Database
from sonant.server.accounts.tables import people, users, voice_recordings
from sonant.server.errors import ApiError, api_error

MOST_RECORDINGS = 1000  # of an account


@dataclass(frozen=True)
class VoiceOwner:
    """The account, model and fingerprint that enrolled people belong to."""

    user_id: int
    model: str
    fingerprint: str


class EnrolledVoices:
    """Enrolls, lists, renames, merges and deletes the people of an account.

    The people of one model and account have embeddings of one fingerprint; after its weights have changed, requests are
    refused with 409 until those people are forgotten.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, owner: VoiceOwner) -> list[Person]:
        """Return the people enrolled with a model. Raises ApiError 409: its weights have changed since."""

        def read(connection: Connection) -> list[Person]:
            _check_weights(connection, owner)
            return _people(connection, _belonging(owner))

        return await self._database.read(read)

    async def everyone(self, user_id: int) -> list[tuple[str, Person]]:
        """Return all people of an account with the models that they were enrolled with, in the order of enrollment."""

        def read(connection: Connection) -> list[tuple[str, Person]]:
            query = select(people.c.id, people.c.model).where(people.c.user_id == user_id)
            models = {row.id: row.model for row in connection.execute(query)}
            found = _people(connection, [people.c.user_id == user_id])
            return [(models[person.id], person) for person in found]

        return await self._database.read(read)

    async def add(self, owner: VoiceOwner, name: str, sample: VoiceSample) -> Person:
        """Enroll a recording of a person, who is added if there is none of this name.

        Raises ApiError 400: invalid name, or too many recordings. 409: the model's weights have changed since.
        """
        name, vector = _named(name), checked_vector(sample.vector).astype("<f4").tobytes()

        def write(connection: Connection) -> Person:
            _lock(connection, owner.user_id)
            _check_weights(connection, owner)
            total = select(func.count()).select_from(voice_recordings.join(people))
            if connection.execute(total.where(people.c.user_id == owner.user_id)).scalar_one() >= MOST_RECORDINGS:
                raise ApiError(
                    400,
                    "too_many_recordings",
                    f"This account has {MOST_RECORDINGS} enrolled recordings, the most that are kept. Forget some.",
                )
            query = select(people.c.number).where(*_belonging(owner), people.c.name == name)
            person = connection.execute(query).scalar()
            if person is None:
                row = {"id": uuid4().hex, "user_id": owner.user_id, "model": owner.model, "name": name}
                new = insert(people).returning(people.c.number)
                person = connection.execute(new, {**row, "fingerprint": owner.fingerprint}).scalar_one()
            recording = {"id": uuid4().hex, "person": person, "vector": vector, "created": int(time.time())}
            connection.execute(insert(voice_recordings), {**recording, "speech_seconds": sample.speech_seconds})
            return _people(connection, [people.c.number == person])[0]

        return await self._database.write(write)

    async def rename(self, user_id: int, person_id: str, name: str) -> Person:
        """Rename a person. Raises ApiError 404: there is none of this id. 400: invalid name. 409: it is taken."""
        name = _named(name)

        def write(connection: Connection) -> Person:
            _lock(connection, user_id)
            person = _find(connection, user_id, person_id)
            connection.execute(update(people).where(people.c.number == person.number), {"name": name})
            return _people(connection, [people.c.number == person.number])[0]

        try:
            return await self._database.write(write)
        except IntegrityError as error:
            message = f"There is another person called {name!r}. To make one of both, merge them."
            raise ApiError(409, "name_taken", message, param="name") from error

    async def merge(self, user_id: int, person_id: str, into: str) -> Person:
        """Move the recordings of a person to another one of the same model, and remove the first.

        Raises ApiError 404: there is no such person. 409: they were enrolled with different models.
        """

        def write(connection: Connection) -> Person:
            _lock(connection, user_id)
            person, other = _find(connection, user_id, person_id), _find(connection, user_id, into)
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
            return _people(connection, [people.c.number == other.number])[0]

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

    async def export(self, user_id: int) -> list[dict[str, Any]]:
        """Return all that is stored about the people of an account, by model, as plain data for JSON."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            query = select(people.c.model, people.c.fingerprint).where(people.c.user_id == user_id).distinct()
            owners = [VoiceOwner(user_id, row.model, row.fingerprint) for row in connection.execute(query)]
            return [
                {"model": owner.model, **_exported(connection, owner)}
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


def _exported(connection: Connection, owner: VoiceOwner) -> dict[str, Any]:
    data = exported(_people(connection, _belonging(owner)), model=owner.fingerprint)
    return {"fingerprint": data["model"], "people": data["people"]}


def _find(connection: Connection, user_id: int, person_id: str) -> Row[Any]:
    query = select(people).where(people.c.user_id == user_id, people.c.id == person_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ApiError(
            404,
            "person_not_found",
            f"No enrolled person has the id {person_id[:40]!r}; GET /v1/voice/people lists them.",
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
