"""What people judge, in one SQLite file: every answer is on disk before the next image is shown."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CANNOT_TELL, SKIPPED = "cannot tell", "skipped"
ORDERS = {"random": "at random, another order for every rater", "given": "the most doubtful first"}
APART = 20  # images between an image and its repeat, where there are so many
LONGEST_NAME = 60  # characters
_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (id INTEGER PRIMARY KEY, image TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS raters (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, ordering TEXT NOT NULL,
  blind INTEGER NOT NULL, repeats INTEGER NOT NULL, started_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS queue (
  rater INTEGER NOT NULL REFERENCES raters, position INTEGER NOT NULL,
  image INTEGER NOT NULL REFERENCES images, again INTEGER NOT NULL,
  PRIMARY KEY (rater, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS judgements (
  id INTEGER PRIMARY KEY, rater INTEGER NOT NULL, position INTEGER NOT NULL, answer TEXT NOT NULL,
  judged_at TEXT NOT NULL, undone_at TEXT,
  FOREIGN KEY (rater, position) REFERENCES queue (rater, position));
CREATE UNIQUE INDEX IF NOT EXISTS one_answer ON judgements (rater, position)
  WHERE undone_at IS NULL;
"""
_NEXT = """
SELECT q.position, q.image, q.again FROM queue q
LEFT JOIN judgements j ON j.rater = q.rater AND j.position = q.position AND j.undone_at IS NULL
JOIN present p ON p.id = q.image
WHERE q.rater = ? AND j.id IS NULL ORDER BY q.position LIMIT 2
"""
_EVERY = """
SELECT i.image, r.name AS rater, j.answer, q.again, r.blind, q.position, j.judged_at
FROM judgements j JOIN raters r ON r.id = j.rater
JOIN queue q ON q.rater = j.rater AND q.position = j.position JOIN images i ON i.id = q.image
WHERE j.undone_at IS NULL ORDER BY j.id
"""


@dataclass(frozen=True)
class Scale:
    """A scale of types that people judge.

    Attributes:
        name: ``fitzpatrick`` or ``monk``.
        title: For people.
        types: Lightest first.
        column: Of the exported table.
        words: What each type means, where the scale says it in words.
        source: Where the words come from.
    """

    name: str
    title: str
    types: tuple[int, ...]
    column: str
    words: tuple[str, ...] = ()
    source: str = ""

    def key(self, kind: int) -> str:
        """Return the key that means a type: its digit, and 0 for 10."""
        return str(kind % 10)


SCALES = {
    "fitzpatrick": Scale(
        "fitzpatrick",
        "Fitzpatrick type",
        (1, 2, 3, 4, 5, 6),
        "fitzpatrick_type",
        (
            "burns always, tans never",
            "burns easily, tans little",
            "burns sometimes, tans gradually",
            "burns little, tans well",
            "burns rarely, tans deeply (brown skin)",
            "burns never (black skin)",
        ),
        "After Fitzpatrick 1988, Archives of Dermatology 124:869, in our words. The type is "
        "defined by how skin reacts to the sun; in a photograph only its look can be judged.",
    ),
    "monk": Scale("monk", "Monk tone", tuple(range(1, 11)), "monk_tone"),
}


@dataclass(frozen=True)
class Rater:
    """A person who judges, and how: the choices stand from the first image to the last."""

    id: int
    name: str
    ordering: str
    blind: bool
    repeats: int


@dataclass(frozen=True)
class Turn:
    """One image to be judged.

    Attributes:
        position: Its place in the rater's order; an answer is given for it.
        image: The image's number.
        again: Whether the rater has judged it before.
        following: The number of the image after it; None at the end.
    """

    position: int
    image: int
    again: bool
    following: int | None


class Judgements:
    """The judgements of one study; safe to use from several threads and by several processes.

    Args:
        path: The SQLite file; made where there is none.
        scale: What is judged; a file holds one scale.
        images: Names of the images, the most doubtful first. Images that the file knows and that
            are not among them are kept, and shown to nobody.

    Raises:
        InputError: The file is no such file, cannot be written, or is of another scale.
    """

    def __init__(self, path: Path, scale: Scale, images: Sequence[str]) -> None:
        self.path, self.scale = path, scale
        self._lock = threading.Lock()
        self._base: sqlite3.Connection | None = None
        try:
            self._base = sqlite3.connect(
                path, timeout=10, check_same_thread=False, isolation_level=None
            )
            self._base.execute("PRAGMA synchronous = FULL")  # on disk when an answer is taken
            self._base.execute("PRAGMA foreign_keys = ON")
            self._base.executescript(_SCHEMA)
            self.image_ids = self._register(images)
        except sqlite3.Error as error:
            self.close()
            raise InputError(
                f"{path}: cannot hold judgements ({error}); name another file."
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._base is not None:
            self._base.close()
            self._base = None

    def _register(self, images: Sequence[str]) -> dict[str, int]:
        with self._writing() as base:
            kept = dict(base.execute("SELECT key, value FROM study"))
            if kept.get("scale", self.scale.name) != self.scale.name:
                raise InputError(
                    f"{self.path}: holds judgements on the scale {kept['scale']}, not "
                    f"{self.scale.name}; name another file or that scale."
                )
            base.execute("INSERT OR IGNORE INTO study VALUES ('scale', ?)", (self.scale.name,))
            base.executemany(
                "INSERT OR IGNORE INTO images (image) VALUES (?)", [(name,) for name in images]
            )
            known = dict(base.execute("SELECT image, id FROM images"))
            base.execute("CREATE TEMP TABLE present (id INTEGER PRIMARY KEY)")
            ids = {name: known[name] for name in images}
            base.executemany("INSERT INTO present VALUES (?)", [(one,) for one in ids.values()])
        return ids

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return _Transaction(self._connection, self._lock)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._base is None:
            raise InputError(f"{self.path}: is closed.")
        return self._base

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def absent(self) -> int:
        """Return how many judged images are not among those to be judged, and shown to nobody."""
        return self._rows(
            "SELECT COUNT(DISTINCT q.image) FROM judgements j JOIN queue q "
            "ON q.rater = j.rater AND q.position = j.position "
            "WHERE j.undone_at IS NULL AND q.image NOT IN "
            "(SELECT id FROM present)"
        )[0][0]

    def raters(self) -> list[Rater]:
        """Return every rater, in the order in which they began."""
        rows = self._rows("SELECT id, name, ordering, blind, repeats FROM raters ORDER BY id")
        return [Rater(one, name, order, bool(blind), n) for one, name, order, blind, n in rows]

    def rater(self, number: int) -> Rater | None:
        """Return a rater by number; None where there is none."""
        return next((one for one in self.raters() if one.id == number), None)

    def join(
        self, name: str, *, ordering: str = "random", blind: bool = True, repeats: int = 0
    ) -> Rater:
        """Return the rater of that name, who begins, or goes on after the last answer.

        Args:
            name: As others shall know them.
            ordering: A key of `ORDERS`.
            blind: Whether the computed band is hidden.
            repeats: Of 100 images, how many are shown a second time.

        Raises:
            InputError: No name, or a choice that there is not.
        """
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise InputError(f"a rater has a name of 1 to {LONGEST_NAME} characters.")
        if ordering not in ORDERS or not 0 <= repeats <= 50:
            raise InputError(f"the order is {' or '.join(ORDERS)}, repeats are 0 to 50 of 100.")
        with self._writing() as base:
            base.execute(
                "INSERT OR IGNORE INTO raters (name, ordering, blind, repeats, started_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (name, ordering, blind, repeats, _now()),
            )
            row = base.execute(
                "SELECT id, name, ordering, blind, repeats FROM raters WHERE name = ?", (name,)
            ).fetchone()
            rater = Rater(row[0], row[1], row[2], bool(row[3]), row[4])
            self._fill_queue(base, rater)
        return rater

    def _fill_queue(self, base: sqlite3.Connection, rater: Rater) -> None:
        """Put the images that the rater's queue lacks at its end, in the rater's order."""
        there = {row[0] for row in base.execute(
            "SELECT image FROM queue WHERE rater = ?", (rater.id,)
        )}  # fmt: skip
        new = [one for one in self.image_ids.values() if one not in there]
        last = base.execute(
            "SELECT COALESCE(MAX(position), 0) FROM queue WHERE rater = ?", (rater.id,)
        ).fetchone()[0]
        turns = order_of(new, rater, seed=f"{rater.name.casefold()}/{last}")
        base.executemany(
            "INSERT INTO queue VALUES (?, ?, ?, ?)",
            [(rater.id, last + n, image, again) for n, (image, again) in enumerate(turns, 1)],
        )

    def turn(self, rater: Rater) -> Turn | None:
        """Return the next image of a rater; None where all are judged or skipped."""
        rows = self._rows(_NEXT, (rater.id,))
        if not rows:
            return None
        position, image, again = rows[0]
        return Turn(position, image, bool(again), rows[1][1] if len(rows) > 1 else None)

    def answer(self, rater: Rater, position: int, answer: str) -> bool:
        """Keep an answer; on disk when this returns.

        Args:
            rater: Whose.
            position: The turn that it answers.
            answer: A type of the scale, `CANNOT_TELL` or `SKIPPED`.

        Returns:
            Whether it was kept: a turn that has an answer keeps its first one, so that a key
            pressed twice judges one image.

        Raises:
            InputError: No answer of this scale, or no such turn.
        """
        if answer not in (*map(str, self.scale.types), CANNOT_TELL, SKIPPED):
            raise InputError(f"'{answer[:20]}' is no answer on the scale {self.scale.name}.")
        if not self._rows(
            "SELECT 1 FROM queue WHERE rater = ? AND position = ?", (rater.id, position)
        ):
            raise InputError(f"{rater.name} has no image {position}.")
        with self._writing() as base:
            done = base.execute(
                "INSERT OR IGNORE INTO judgements (rater, position, answer, judged_at) "
                "VALUES (?, ?, ?, ?)",
                (rater.id, position, answer, _now()),
            )
            return done.rowcount == 1

    def undo(self, rater: Rater) -> bool:
        """Take a rater's last answer back; it stays in the file, marked. False: there is none."""
        return self._take_back(
            "id = (SELECT MAX(id) FROM judgements WHERE rater = ? AND undone_at IS NULL)", rater.id
        )

    def ask_skipped_again(self, rater: Rater) -> bool:
        """Show what a rater skipped again. False: nothing was skipped."""
        return self._take_back(
            f"rater = ? AND answer = '{SKIPPED}' AND undone_at IS NULL", rater.id
        )

    def _take_back(self, which: str, value: int) -> bool:
        with self._writing() as base:
            done = base.execute(
                f"UPDATE judgements SET undone_at = ? WHERE {which}", (_now(), value)
            )
            return done.rowcount > 0

    def name_of(self, image: int) -> str:
        """Return the name of an image by its number, "" where there is none."""
        if image >= 2**63:  # more than SQLite counts
            return ""
        rows = self._rows("SELECT image FROM images WHERE id = ?", (image,))
        return rows[0][0] if rows else ""

    def progress(self, rater: Rater) -> dict[str, int]:
        """Return how many turns a rater has in all, and of these how many judged and skipped."""
        total = self._rows(
            "SELECT COUNT(*) FROM queue q JOIN present p ON p.id = q.image WHERE q.rater = ?",
            (rater.id,),
        )[0][0]
        answers = dict(
            self._rows(
                "SELECT j.answer, COUNT(*) FROM judgements j JOIN queue q ON q.rater = j.rater AND "
                "q.position = j.position JOIN present p ON p.id = q.image "
                "WHERE j.rater = ? AND j.undone_at IS NULL GROUP BY j.answer",
                (rater.id,),
            )
        )
        skipped = answers.get(SKIPPED, 0)
        done = sum(answers.values())
        return {"total": total, "judged": done - skipped, "skipped": skipped, "left": total - done}

    def table(self) -> pd.DataFrame:
        """Return every judgement that stands, in the order in which it was given.

        Columns: image, rater, the scale's column (empty where the rater could not tell), answer,
        again (1: the rater had judged the image before), blind, place, judged_at (UTC).
        """
        import pandas as pd

        names = ["image", "rater", "answer", "again", "blind", "place", "judged_at"]
        frame = pd.DataFrame(self._rows(_EVERY), columns=names)
        frame = frame[frame["answer"] != SKIPPED].reset_index(drop=True)
        types = pd.to_numeric(frame["answer"], errors="coerce").astype("Int64")
        frame.insert(2, self.scale.column, types)
        return frame


class _Transaction:
    """A transaction that holds the lock; written at its end, or not at all."""

    def __init__(self, base: sqlite3.Connection, lock: threading.Lock) -> None:
        self._base, self._lock = base, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._base.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        return self._base

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._base.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()


def order_of(images: Sequence[int], rater: Rater, *, seed: str) -> list[tuple[int, bool]]:
    """Return the turns of a rater: each image, and whether it is shown for the second time.

    A repeat comes at least `APART` images after the first showing, or half of all where there are
    fewer, and at a place that is drawn.
    """
    drawn = random.Random(seed)
    order = list(images)
    if rater.ordering == "random":
        drawn.shuffle(order)
    n, apart = len(order), min(APART, len(order) // 2)
    places = [(float(place), image, False) for place, image in enumerate(order)]
    early = range(n - apart)  # what comes later has no room for a repeat
    for place in drawn.sample(early, min(round(n * rater.repeats / 100), len(early))):
        later = place + apart + 0.5 + drawn.random() * (n - place - apart)
        places.append((later, order[place], True))
    return [(image, again) for _, image, again in sorted(places)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
