"""Every value that the environment may change, read once into one frozen value.

No other module reads ``os.environ``. A setting is named after its field, in capitals: ``PORT``
sets :attr:`Settings.port`. An empty variable counts as unset.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Processes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


class SettingsError(ValueError):
    """A variable that cannot be used; the message names it and says what it must be."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings; ``docs/reference/settings.md`` lists them, and a test compares."""

    database_url: Annotated[
        URL | None,
        "The database, as `postgresql://user:password@host:port/name`. "
        "Unset, an embedded PostgreSQL 18 runs in `.postgres/` of the project.",
    ] = None
    replica_url: Annotated[
        URL | None,
        "A copy of the database that PostgreSQL keeps, on which the API reads; none, if unset.",
    ] = None
    address: Annotated[
        str, "The name or IP address to listen on; `0.0.0.0` or `::` for every interface."
    ] = "localhost"
    port: Annotated[Port, "The TCP port to listen on; 0 for any free one."] = 8888
    metrics_address: Annotated[str, "The name or IP address to listen on for Prometheus."] = (
        "localhost"
    )
    metrics_port: Annotated[
        Port | None,
        "The TCP port to listen on for Prometheus, at `/metrics`; not at all, if unset.",
    ] = None
    processes: Annotated[
        Processes, "Processes that serve, side by side; 0 for one for each core."
    ] = 1
    pool_size: Annotated[Count, "Connections to the database that one process keeps, at most."] = 10
    pool_seconds: Annotated[
        Seconds, "How long a request waits for a connection before it is answered 503."
    ] = 10
    statement_seconds: Annotated[
        Seconds, "How long one statement of a request may run, exports apart; 0 for no limit."
    ] = 30
    client_seconds: Annotated[
        Seconds, "How long a client may take to receive one piece of a streamed answer."
    ] = 30
    load_bytes: Annotated[
        Count, "Bytes of a body that is loaded in bulk (lines of JSON, or CSV), at most."
    ] = 268435456
    cors_origins: Annotated[
        str | None,
        "Origins whose pages may call the API from a browser, as `https://example.org`, "
        "separated by commas; none, if unset.",
    ] = None
    trusted_proxies: Annotated[
        str | None,
        "Addresses of proxies, separated by commas, whose `X-Forwarded-For` says where a request "
        "came from; nobody's, if unset.",
    ] = None
    migration_lock_seconds: Annotated[
        Seconds,
        "How long a statement of a migration waits for a lock, and requests behind it; "
        "0 for no limit.",
    ] = 0.1
    migration_tries: Annotated[
        Count,
        "How often a migration that gets no lock is tried; 30 tries take some 6 minutes.",
    ] = 30
    migration_statement_seconds: Annotated[
        Seconds, "How long one statement of a migration may run; 0 for no limit."
    ] = 900
    preroll_seconds: Annotated[
        Seconds,
        "How long, after SIGTERM, the service still listens while `/readyz` answers 503: "
        "the time a load balancer needs to notice.",
    ] = 0
    drain_seconds: Annotated[
        Seconds, "How long, after it stopped listening, requests in flight may take to finish."
    ] = 30
    log_level: Annotated[
        LogLevel, "`debug`, `info` (one line a request), `warning` or `error`."
    ] = "info"
    log_format: Annotated[LogFormat, "`text` for people, or `json`: an object on each line."] = (
        "text"
    )

    def origins(self) -> frozenset[str]:
        """Return the origins whose pages may call."""
        return frozenset(_listed(self.cors_origins))

    def proxies(self) -> list[str]:
        """Return the addresses of proxies that are believed."""
        return _listed(self.trusted_proxies)

    def __repr__(self) -> str:
        # A URL may hide a password in its query, too, which SQLAlchemy would print.
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in shown.items():
            if isinstance(value, URL):
                shown[name] = describe(value)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a variable is set to something that cannot be used. The message never
            repeats the value of a URL.

    """
    types = get_type_hints(Settings, include_extras=True)
    values: dict[str, Any] = {}
    for field in fields(Settings):
        name = field.name.upper()
        if text := environ.get(name, "").strip():
            values[field.name] = _parse(name, text, types[field.name])
    return Settings(**values)


def _listed(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _parse(name: str, text: str, annotation: Any) -> Any:  # noqa: ANN401
    if name.endswith("_URL"):
        return _database_url(name, text)
    if get_origin(get_args(annotation)[0]) is Literal:
        return _one_of(name, text, get_args(get_args(annotation)[0]))
    try:
        return msgspec.convert(text, annotation, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name} is {text!r}; {_expected(error)}.") from None


def _one_of(name: str, text: str, words: tuple[str, ...]) -> str:
    if text.lower() not in words:
        raise SettingsError(f"{name} is {text!r}; expected one of {', '.join(words)}.")
    return text.lower()


def _expected(error: msgspec.ValidationError) -> str:
    """``Expected `int` >= 1`` as the end of a sentence."""
    reason = str(error).split(", got")[0]
    return reason[0].lower() + reason[1:]


def _database_url(name: str, text: str) -> URL:
    # What SQLAlchemy says of a bad URL may quote a piece of the password: it is left out.
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError(
            f"{name} cannot be read; expected postgresql://user:password@host:port/name, "
            "with special characters in the password written as %XX."
        ) from None
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise SettingsError(
            f"{name} begins with {url.drivername}://; expected postgresql://, "
            "the only database this service runs on."
        )
    if not url.database:
        raise SettingsError(f"{name} names no database; expected postgresql://…/name.")
    return url


def describe(url: URL) -> str:
    """Name a database for people: ``name on host:port as user``, never the password."""
    host = url.host or url.query.get("host") or "the local socket"
    place = host if isinstance(host, str) else ", ".join(host)
    port = f":{url.port}" if url.port else ""
    user = f" as {url.username}" if url.username else ""
    return f"{url.database} on {place}{port}{user}"
