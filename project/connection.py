"""A connection to PostgreSQL that runs one statement after another with as little Python as can be.

psycopg opens it, and does what is rare: transactions, ``COPY``, streams, cancelling. Most requests
are one statement whose answer is passed on as it came; for those, psycopg's cursors took longer
than PostgreSQL (decision 20). Here libpq is called directly: the socket is watched for as long as
the connection lives, not anew for each answer, and no value becomes a Python object.
"""

import asyncio
import functools
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

#: Rows of a result, as PostgreSQL wrote them; None is null.
Rows = list[tuple[bytes | None, ...]]

#: Times that a connection sees a statement before it prepares it: PostgreSQL then plans it no more.
OFTEN = 5

#: Statements that a connection keeps prepared; of more, those that were not run for longest go.
PREPARED = 100

#: Seconds that PostgreSQL has to give a statement up that nobody waits for any more.
CANCEL_SECONDS = 5.0

PLACEHOLDER = re.compile(rb"%[s%]")


def rows_of(cursor: psycopg.AsyncCursor[Any]) -> Rows:
    """Return the rows of a result that has come, without making Python objects of the values.

    What is passed on to a client need not be decoded to be encoded again.
    """
    return [] if cursor.pgresult is None else _rows(cursor.pgresult)


class Connection:
    """One connection; whoever uses it has it for itself meanwhile."""

    def __init__(self, driver: psycopg.AsyncConnection) -> None:
        self._driver = driver
        self._libpq = driver.pgconn
        self._socket = driver.fileno()
        self._watched = False
        self._loop = asyncio.get_running_loop()
        self._transformer = Transformer(driver)
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        self._prepared: OrderedDict[bytes, bytes] = OrderedDict()
        self._serial = 0
        self._result: PGresult | None = None
        self._answer: asyncio.Future[PGresult | None] | None = None

    @property
    def driver(self) -> psycopg.AsyncConnection:
        """The same connection as psycopg's, which watches the socket itself when it waits."""
        self._watch_no_more()
        return self._driver

    @property
    def socket(self) -> int:
        """The number of the socket's file."""
        return self._socket

    @property
    def idle(self) -> bool:
        """Whether the connection is in the middle of nothing, and alive as far as it knows."""
        return self._libpq.transaction_status == TransactionStatus.IDLE

    async def run(self, text: bytes, values: Sequence[object] = ()) -> Rows:
        """Run one statement, and return its rows as the bytes that PostgreSQL wrote.

        Args:
            text: The statement, with ``%s`` for values and ``%%`` for a percent sign. PostgreSQL
                must be able to tell the type of each value, as by a cast.
            values: The values.

        Raises:
            psycopg.Error: PostgreSQL refuses it, or is gone.

        """
        given = self._transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
        name = self._prepared.get(text)
        if name is None:
            name = await self._prepare(text)
        else:
            self._prepared.move_to_end(text)
        if name is None:
            self._libpq.send_query_params(numbered(text), given)
        else:
            self._libpq.send_query_prepared(name, given)
        result = await self._answered()
        return [] if result is None else _rows(result)

    async def close(self) -> None:
        """Close the connection."""
        await self.driver.close()

    def finish(self) -> None:
        """Close the connection without a farewell: the other side has gone."""
        self.driver.pgconn.finish()

    async def _prepare(self, text: bytes) -> bytes | None:
        """Prepare a statement that was seen often enough; return its name, if it has one now."""
        times = self._seen.pop(text, 0) + 1
        if times < OFTEN:
            self._seen[text] = times
            if len(self._seen) > PREPARED:
                self._seen.popitem(last=False)
            return None
        if len(self._prepared) >= PREPARED:
            _, old = self._prepared.popitem(last=False)
            self._libpq.send_query(b"DEALLOCATE " + old)
            await self._answered()
        self._serial += 1
        name = b"statement_%d" % self._serial
        self._libpq.send_prepare(name, numbered(text))
        await self._answered()
        self._prepared[text] = name
        return name

    async def _answered(self) -> PGresult | None:
        """Wait until PostgreSQL has answered what was sent; return what it said last."""
        self._result, self._answer = None, self._loop.create_future()
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._socket, self._readable)
        if self._libpq.flush():
            self._loop.add_writer(self._socket, self._writable)
        try:
            result = await self._answer
        except asyncio.CancelledError:
            await self._cancel()
            raise
        finally:
            self._answer = None
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        return result

    async def _cancel(self) -> None:
        """Have PostgreSQL give up what runs; if it does not in time, the connection is not idle."""
        if self.idle:
            return  # it has answered; only whoever waited had not heard of it
        self._answer = self._loop.create_future()
        with suppress(psycopg.Error, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._driver.cancel_safe()
                await self._answer

    def _readable(self) -> None:
        answer = self._answer
        if answer is None:
            # Said unasked: a farewell, as a rule, which whoever takes the connection next has to
            # find where it is (see `Connections`).
            self._watch_no_more()
            return
        if answer.done():
            return  # given up: whoever waited has yet to hear of it, and to wait for the end
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    answer.set_result(self._result)
                    return
                self._result = result
        except psycopg.Error as error:
            self._lost(error)

    def _writable(self) -> None:
        try:
            if not self._libpq.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._lost(error)

    def _lost(self, error: psycopg.Error) -> None:
        """Tell whoever waits; what PostgreSQL said last says more than that it is gone."""
        self._watch_no_more()
        if self._answer is None or self._answer.done():
            return
        if self._result is None:
            self._answer.set_exception(error)
        else:
            self._answer.set_result(self._result)

    def _watch_no_more(self) -> None:
        """Forget the socket, before it is closed: its number will be another's then."""
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)


@functools.lru_cache(maxsize=1024)
def numbered(text: bytes) -> bytes:
    """Return a statement as PostgreSQL reads it: its placeholders are ``$1`` and so on."""
    count = 0

    def replaced(found: re.Match[bytes]) -> bytes:
        nonlocal count
        if found[0] == b"%%":
            return b"%"
        count += 1
        return b"$%d" % count

    return PLACEHOLDER.sub(replaced, text)


def _rows(result: PGresult) -> Rows:
    columns = range(result.nfields)
    return [
        tuple([result.get_value(row, column) for column in columns])
        for row in range(result.ntuples)
    ]
