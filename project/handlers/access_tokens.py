"""``POST /api/access_token``: a new token, which is shown this once."""

from typing import Any

import msgspec
from msgspec import Raw

from project.api import inserting
from project.api.faults import FaultError
from project.api.once import Once
from project.api.payload import Row as Payload
from project.api.values import encode
from project.handlers.base import JSON
from project.handlers.rows import Rows
from project.models import AccessToken
from project.models.access_token import new_token, token_hash

ROWS = msgspec.json.Decoder(list[Payload])


class AccessTokens(Rows):
    """The tokens of accounts; all but the making of one is as with any other resource."""

    def body_as(self, *_media_types: str) -> bytes:
        """Take JSON only: each token is shown, so there is no bulk of them."""
        return super().body_as(JSON)

    @classmethod
    def describe(cls, api: dict[str, Any], item: dict[str, Any]) -> None:
        """Say in the description what is different: the token in the answer."""
        name = AccessToken.__tablename__
        row = api["components"]["schemas"][name]
        shown = {"type": "string", "description": "The token, shown this once."}
        made = {
            **row,
            "properties": {**row["properties"], "token": shown},
            "required": [*row["required"], "token"],
        }
        api["components"]["schemas"][f"{name}.made"] = made
        reference = {"$ref": f"#/components/schemas/{name}.made"}
        post = item["post"]
        several = {"oneOf": [reference, {"type": "array", "items": reference}]}
        post["responses"]["201"]["content"][JSON]["schema"] = several
        content = post["requestBody"]["content"]
        post["requestBody"]["content"] = {JSON: content[JSON]}

    async def insert(self, rows: list[Payload], once: Once | None, *, many: bool) -> None:
        """Make a token for each row; only its hash is stored."""
        if once is not None:
            # Whatever is asked again is answered from what is stored, and a token is not.
            raise FaultError(
                400, "A token is made anew each time; leave Idempotency-Key out.", kind="header"
            )
        tokens = [new_token() for _ in rows]
        for row, token in zip(rows, tokens, strict=True):
            row["token_hash"] = Raw(encode(f"\\x{token_hash(token).hex()}"))
        made: list[Payload] = []
        if rows:
            statement, order = inserting.insert(self.view, rows)
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
