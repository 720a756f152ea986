"""``POST /api/access_token``: a new token, which is shown this once."""

import msgspec
from msgspec import Raw

from project.api import writing
from project.api.faults import FaultError
from project.api.payload import Row as Payload
from project.api.values import encode
from project.api.writing import Once
from project.handlers.base import JSON
from project.handlers.rows import Rows
from project.models.access_token import new_token, token_hash

ROWS = msgspec.json.Decoder(list[Payload])


class AccessTokens(Rows):
    """The tokens of accounts; all but the making of one is as with any other resource."""

    async def insert(self, rows: list[Payload], once: Once | None, *, many: bool) -> None:
        """Make a token for each row; only its hash is stored."""
        if once is not None or self.file is not None:
            # Whatever is asked again is answered from what is stored, and a token is not.
            raise FaultError(400, "A token is made by a request of its own, without a key.")
        tokens = [new_token() for _ in rows]
        for row, token in zip(rows, tokens, strict=True):
            row["token_hash"] = Raw(encode(f"\\x{token_hash(token).hex()}"))
        made: list[Payload] = []
        if rows:
            statement, order = writing.insert(self.view, rows)
            [(body, _, place, _)] = await self.change(lambda: self.run(statement), rows, many=many)
            made = ROWS.decode(b"[%b]" % (body or b""))
            for number, row in zip(order, made, strict=True):
                row["token"] = Raw(encode(tokens[number]))
            if not many:
                self.set_header("Location", self.place(place or b"[]"))
        self.set_status(201)
        self.set_header("Content-Type", f"{JSON}; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.write(encode(made if many else made[0]) + b"\n")
