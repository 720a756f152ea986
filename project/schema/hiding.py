"""Passwords are kept out of what a person is shown."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote

import sqlalchemy as sa


@dataclass
class Secrets:
    """The passwords that were written out for another process, which may repeat them."""

    known: set[str] = field(default_factory=set, repr=False)

    def written(self, url: sa.URL) -> str:
        """Write out a URL with its password, which must not appear in any message."""
        given = [url.password, url.query.get("password")]
        self.known |= {word for word in given if isinstance(word, str) and word}
        return url.render_as_string(hide_password=False)

    def hidden(self, text: str) -> str:
        """Hide passwords: the known ones, and what stands at the place of one."""
        text = re.sub(r"(://[^:/@\s]*:)[^@\s]+@", r"\1***@", text)
        text = re.sub(r"(password['\"]?\s*[=:]\s*['\"]?)[^\s'\",)&]+", r"\1***", text)
        for secret in sorted(self.known, key=len, reverse=True):
            for written in (secret, quote(secret, safe=" +")):
                # Whole words only: a password like "postgres" is also a piece of many paths.
                text = re.sub(rf"(?<![\w/.]){re.escape(written)}(?![\w/.])", "***", text)
        return text
