"""Rows in bulk: lines of JSON or CSV, through ``COPY`` and one statement, all or nothing."""

import asyncio
import tempfile
from typing import IO, cast

import psycopg
from tornado.http1connection import HTTP1Connection

from project.api import inserting
from project.api.bulk import Loader, document
from project.api.faults import FaultError
from project.api.payload import given_of
from project.connection import rows_of
from project.handlers.base import JSON
from project.handlers.changes import ChangingHandler

NDJSON = "application/x-ndjson"
CSV = "text/csv"

#: Seconds that a body may take to arrive that is loaded in bulk.
ARRIVAL_SECONDS = 600

#: Bytes of it that are kept in memory; the rest goes to a temporary file. Nobody's connection to
#: the database waits for a slow client so.
KEPT = 1024 * 1024

STAGE = b"CREATE TEMPORARY TABLE loaded (document json) ON COMMIT DROP"

#: For delimiter and quote two characters that JSON never holds as they are: a line is a value.
COPY = rb"COPY loaded FROM STDIN (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"


class LoadingHandler(ChangingHandler):
    """A collection whose ``POST`` takes bodies of any size that the settings allow."""

    file: IO[bytes] | None = None

    def room(self) -> int:
        """Return how many bytes of a body may come; more only from whoever may load them."""
        if self.request.method != "POST" or self.media_type() not in {NDJSON, CSV}:
            return super().room()
        self.admit_writer()
        cast("HTTP1Connection", self.request.connection).set_body_timeout(ARRIVAL_SECONDS)
        self.file = tempfile.SpooledTemporaryFile(KEPT)  # noqa: SIM115  (closed on_finish)
        return self.limits.load_bytes

    def keep(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        if self.file is None:
            super().keep(chunk)
        else:
            self.file.write(chunk)

    def on_finish(self) -> None:
        """Forget the body."""
        if self.file is not None:
            self.file.close()

    async def load(self, file: IO[bytes], *, as_table: bool) -> int:
        """Insert the rows of a file; return how many."""
        if "Idempotency-Key" in self.request.headers:
            raise FaultError(400, "Idempotency-Key is for rows in JSON.", kind="header")
        file.seek(0)
        loader = Loader(self.view, file, as_table=as_table)
        async with self.connections.transaction() as connection:
            await connection.execute(STAGE)
            async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                for piece in loader.pieces():
                    await copy.write(document(piece))
                    await asyncio.sleep(0)  # others have a turn
            if not loader.read:
                return 0
            statement = inserting.load(self.view, loader.names)
            answer = rows_of(await connection.execute(statement.text, statement.values))
            return int(answer[0][0] or 0)

    async def post_bulk(self, file: IO[bytes]) -> None:
        """Load the body and say how many rows there were."""
        try:
            number = await self.load(file, as_table=self.media_type() == CSV)
        except psycopg.Error as error:
            refused = self.refused(error, many=True)
            if refused is not error:
                raise refused from error
            if (error.sqlstate or "").startswith("22"):
                raise await self.unreadable(file) from error
            raise
        self.tell()
        self.set_status(201)
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.write(b'{"inserted":%d}\n' % number)

    async def unreadable(self, file: IO[bytes]) -> Exception:
        """Say which value PostgreSQL does not take, if it is one of the first."""
        file.seek(0)
        loader = Loader(self.view, file, as_table=self.media_type() == CSV)
        rows = next(loader.pieces(), [])
        given = given_of(self.collection, rows, many=True)
        return await self.fault(given, 422)
