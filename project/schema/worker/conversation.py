"""What a worker is asked, request by request, and what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any


@dataclass
class Conversation:
    """Requests, one JSON object a line, each of which is answered once before the next is read."""

    requests: IO[str]
    answers: IO[str]
    open: Mapping[str, Any] | None = None  # the request that has no answer yet

    def request(self) -> Mapping[str, Any] | None:
        """Return the open request, or wait for one; None if none will come."""
        if self.open is None:
            line = self.requests.readline()
            self.open = json.loads(line) if line else None
        return self.open

    def tell(self, **said: Any) -> None:  # noqa: ANN401
        """Say something of the open request before it is answered."""
        print(json.dumps(said), file=self.answers, flush=True)

    def answer(self, **said: Any) -> None:  # noqa: ANN401
        """Answer the open request; if there is none, nobody listens any more."""
        if self.open is not None:
            self.open = None
            self.tell(**said)
