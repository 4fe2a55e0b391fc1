"""Enrolled people in one file, an SQLite database: every change is one transaction that survives a crash.

The file is made by the first change.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

from sonant.decoding.known_voices import (
    SAME_SECONDS,
    Enrollment,
    Person,
    checked_name,
    checked_vector,
    enrolled_before,
    people_of,
)
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.voice_samples import VoiceSample

BUSY_SECONDS = 10.0  # to wait for another process
TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE people (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE recordings (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        vector BLOB NOT NULL, speech_seconds REAL NOT NULL, created INTEGER NOT NULL
    )""",
)

ALIKE = (
    "SELECT name, recordings.id, vector FROM recordings JOIN people ON person = people.id "
    "WHERE abs(speech_seconds - :seconds) < :tolerance"
)


class VoiceFile:
    """The enrolled people of one model, in one file, which the first enrollment makes.

    Several processes may use the file at once. Vectors are readable by the owner of the file only, and deleted ones are
    overwritten.

    Args:
        path: of the file.
        model: fingerprint of the model of the vectors; None: that of the file, which must exist.
        name: the model's name, for messages and for opening the file without naming a model.

    Raises:
        ConfigurationError: no such file, no file of voices, one of another model, or no file can be made there.
    """

    def __init__(self, path: str | os.PathLike[str], model: str | None = None, *, name: str = "") -> None:
        self.path = Path(path)
        if model is None and not self.path.exists():
            raise ConfigurationError(
                f"There is no file of voices at {self.path}: check the name. One is made by enrolling someone: sonant "
                "voices enroll NAME FILE, or in Python sonant.Voices(file, model)."
            )
        if model is not None and self.is_empty:
            self._check_place()
            self.model, self.model_name = model, name
            return
        with self._transaction() as connection:
            facts = self._facts(connection)
        self.model, self.model_name = facts["model"], facts["name"]
        if model not in {None, self.model}:
            raise self._of_other_model(model, name)

    @property
    def is_empty(self) -> bool:
        """True before the first change: there is no file, or one without content."""
        return not self.path.exists() or self.path.stat().st_size == 0

    def people(self) -> list[Person]:
        """Return the enrolled people, in the order of enrollment."""
        if self.is_empty:
            return []
        with self._transaction() as connection:
            return self._people(connection)

    def add(self, name: str, samples: Sequence[VoiceSample]) -> Enrollment:
        """Enroll recordings of a person, who is added if there is none of this name; all of them or none.

        A recording of this person that is enrolled already is not added again.

        Raises RecordingEnrolled: a recording is enrolled as another person.
        """
        name, vectors = checked_name(name), [checked_vector(sample.vector) for sample in samples]
        added: list[str] = []
        repeated: list[str] = []
        with self._transaction(writes=True) as connection:
            connection.execute("INSERT OR IGNORE INTO people (id, name) VALUES (?, ?)", (uuid4().hex, name))
            (person,) = connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
            for vector, sample in zip(vectors, samples, strict=True):
                alike = connection.execute(ALIKE, {"seconds": sample.speech_seconds, "tolerance": SAME_SECONDS})
                if (known := enrolled_before(name, vector, alike)) is not None:
                    repeated.append(known)
                    continue
                added.append(uuid4().hex)
                row = (added[-1], person, vector.astype("<f4").tobytes(), sample.speech_seconds, int(time.time()))
                connection.execute(
                    "INSERT INTO recordings (id, person, vector, speech_seconds, created) VALUES (?, ?, ?, ?, ?)", row
                )
            enrolled = next(each for each in self._people(connection) if each.id == person)
        return Enrollment(enrolled, tuple(added), tuple(repeated))

    def rename(self, name: str, new: str) -> None:
        """Rename a person. Raises UnknownName: there is none; ConfigurationError: the new name is taken."""
        new = checked_name(new)
        with self._change(name) as connection:
            person = self._find(connection, name)
            try:
                connection.execute("UPDATE people SET name = ? WHERE id = ?", (new, person))
            except sqlite3.IntegrityError as error:
                raise ConfigurationError(
                    f"There is another person called {new!r}. To make one of both, merge them."
                ) from error

    def merge(self, name: str, into: str) -> None:
        """Move the recordings of one person to another, and remove the first. Raises UnknownName."""
        with self._change(name) as connection:
            person, other = self._find(connection, name), self._find(connection, into)
            if person != other:
                connection.execute("UPDATE recordings SET person = ? WHERE person = ?", (other, person))
                connection.execute("DELETE FROM people WHERE id = ?", (person,))

    def forget(self, name: str, recording: str | None = None) -> None:
        """Delete a person with all recordings, or one recording, by its id; a person without any is deleted.

        Raises UnknownName: there is no such person, or no such recording of this person.
        """
        with self._change(name) as connection:
            person = self._find(connection, name)
            rows = connection.execute("SELECT id FROM recordings WHERE person = ?", (person,))
            recordings = [found for (found,) in rows]
            if recording not in {None, *recordings}:
                raise UnknownName(f"recording of {name}", str(recording), recordings)
            if recording is None or recordings == [recording]:
                connection.execute("DELETE FROM people WHERE id = ?", (person,))
            else:
                connection.execute("DELETE FROM recordings WHERE id = ?", (recording,))

    @property
    def calibration(self) -> VoiceCalibration | None:
        """The calibration that was stored in the file; None: none."""
        if self.is_empty:
            return None
        with self._transaction() as connection:
            stored = self._facts(connection).get("calibration")
        return None if stored is None else VoiceCalibration.from_data(json.loads(stored))

    @calibration.setter
    def calibration(self, calibration: VoiceCalibration) -> None:
        with self._transaction(writes=True) as connection:
            row = ("calibration", json.dumps(calibration.as_data()))
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)

    def _check_place(self) -> None:
        """Raise ConfigurationError if no file can be made here."""
        above = next(folder for folder in self.path.absolute().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise ConfigurationError(
                f"No file of voices can be made at {self.path}: {above} is no folder that this user may write to. Name "
                "another place."
            )

    def _make_file(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDONLY, 0o600))
        except OSError as error:
            raise ConfigurationError(f"The file of voices {self.path} cannot be made: {error.strerror}.") from error

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        """Make the tables of an empty file; those of another one must be of the same model."""
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in TABLES:
                connection.execute(statement)
            facts = {"format": "1", "model": self.model, "name": self.model_name}
            connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
        elif self._facts(connection)["model"] != self.model:  # made by another process meanwhile
            raise self._of_other_model(self.model, self.model_name)

    def _of_other_model(self, model: str | None, name: str) -> ConfigurationError:
        facts = VoiceFile(self.path)
        return ConfigurationError(
            f"The voices of {self.path} were enrolled with {facts.model_name or 'another model'} ({facts.model}); now "
            f"{name or 'a model'} ({model}) was given. Vectors of different models or weights cannot be compared: take "
            "that model, or enroll the recordings again into another file."
        )

    def _facts(self, connection: sqlite3.Connection) -> dict[str, str]:
        try:
            facts = dict(connection.execute("SELECT name, value FROM facts"))
        except sqlite3.OperationalError:
            facts = {}
        if facts.get("format") != "1":
            raise ConfigurationError(
                f"{self.path} is no file of voices, or one of a newer sonant. Name one that sonant voices enroll made."
            )
        return facts

    def _people(self, connection: sqlite3.Connection) -> list[Person]:
        return people_of(
            connection.execute(
                "SELECT people.id, name, recordings.id, vector, speech_seconds, created FROM people JOIN recordings ON "
                "person = people.id ORDER BY people.number, recordings.number"
            )
        )

    def _find(self, connection: sqlite3.Connection, name: str) -> str:
        """Return the id of a person. Raises UnknownName: there is none of this name."""
        names = dict(connection.execute("SELECT name, id FROM people ORDER BY number"))
        if name not in names:
            raise UnknownName("enrolled person", name, names)
        person: str = names[name]
        return person

    def _change(self, name: str) -> AbstractContextManager[sqlite3.Connection]:
        """Open a file with people for a change; one without stays as it is. Raises UnknownName: no one is enrolled."""
        if self.is_empty:
            raise UnknownName("enrolled person", name, [])
        return self._transaction(writes=True)

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, which is on disk when the block ends, and undone if it raises.

        Reading takes no permission to write, and does not wait for a process that prepares a change.
        """
        if writes:
            self._make_file()
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise ConfigurationError(f"The file of voices {self.path} cannot be opened: {error}.") from error
        try:
            for setting in ("foreign_keys = ON", "synchronous = FULL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            if writes:
                self._make_tables(connection)
            yield connection
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"The file of voices {self.path} cannot be used: {error}. Is it one, may this user read and "
                "change it, and is there room on the disk? If it is damaged, take a copy of it."
            ) from error
        finally:
            connection.close()  # rolls back what was not committed
