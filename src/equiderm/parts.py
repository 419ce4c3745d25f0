"""The finished rows of a long job, kept in a hidden folder until its output is written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from equiderm.errors import reason_of
from equiderm.files import hidden_beside, write_whole

Row = dict[str, Any]

PART_ROWS, PART_SECONDS = 500, 2.0  # what a kill can lose


class Parts:
    """The finished rows of a job, in Parquet files beside its output, each written whole.

    The caller holds the output's lock (`equiderm.files.only_one`).

    Args:
        output: The file that the job writes in the end; the parts are beside it.
        settings: What decides a row: parts of other settings are deleted, never mixed in.
        schema: The columns of a row.

    Raises:
        UnicodeEncodeError: The output's name, or that of a folder above it, is not UTF-8.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any], schema: pa.Schema) -> None:
        os.path.realpath(output).encode()  # Parquet files lie in UTF-8 folders: before the work
        self.folder = hidden_beside(output, "parts")
        self._key = self.folder / "settings.json"
        self._settings = json.dumps(dict(settings), sort_keys=True)
        self._schema = schema
        self._count = 0

    def load(self) -> pa.Table:
        """Return the rows of every part, in the order in which they were added.

        Warns:
            UserWarning: A part is empty, cut off or damaged; it is deleted, its rows are missing.
        """
        if self.folder.exists() and not self._is_of_these_settings():
            self.remove()
        tables: list[pa.Table] = []
        for path in sorted(self.folder.glob("[0-9]*.parquet")):
            self._count = int(path.stem) + 1
            try:
                tables.append(pq.read_table(path, schema=self._schema))
            except (pa.ArrowException, OSError, ValueError) as error:
                warnings.warn(
                    f"{path}: is damaged ({reason_of(error)}); what it held is done again.",
                    stacklevel=3,
                )
                path.unlink(missing_ok=True)
        return pa.concat_tables(tables) if tables else self._schema.empty_table()

    def are_there(self) -> bool:
        """Return whether a job of these settings has begun here."""
        return self._is_of_these_settings()

    @contextlib.contextmanager
    def growing(self) -> Generator[Callable[[Row], None]]:
        """Yield a function that keeps a row; rows are written together every few seconds.

        However the block ends, all rows that were kept are written.
        """
        waiting: list[Row] = []
        since = time.monotonic()

        def keep(row: Row) -> None:
            nonlocal since
            waiting.append(row)
            if len(waiting) >= PART_ROWS or time.monotonic() - since > PART_SECONDS:
                self.add(waiting)
                waiting.clear()
                since = time.monotonic()

        try:
            yield keep
        finally:
            if waiting:
                self.add(waiting)

    def _is_of_these_settings(self) -> bool:
        try:
            return self._key.read_text(encoding="utf-8") == self._settings
        except (OSError, UnicodeDecodeError):
            return False

    def begin(self) -> None:
        """Note the settings, so that a run killed before its first part is recognised."""
        if not self._is_of_these_settings():
            with write_whole(self._key) as temporary:
                temporary.write_text(self._settings, encoding="utf-8")

    def add(self, rows: Sequence[Row]) -> None:
        """Keep one more part, whole or not at all."""
        self.begin()
        with write_whole(self.folder / f"{self._count:08d}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(list(rows), self._schema), temporary)
        self._count += 1

    def remove(self) -> None:
        """Delete the parts, and last what says whose they are, for a run killed on the way."""
        for path in self.folder.glob("[0-9]*.parquet"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
