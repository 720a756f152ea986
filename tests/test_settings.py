"""Settings: typed, frozen, named in errors, silent about secrets."""

from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.settings import Settings, SettingsError, describe, load


def test_nothing_set_is_the_default() -> None:
    assert load({}) == Settings()
    assert load({"PORT": "", "DATABASE_URL": " "}) == Settings()
    assert (Settings().port, Settings().database_url) == (8888, None)


def test_every_setting_is_read_under_its_name() -> None:
    given = {
        "DATABASE_URL": "postgresql://ann@db/shop",
        "REPLICA_URL": "postgresql://ann@copy/shop",
        "ADDRESS": "0.0.0.0",
        "PORT": "80",
        "METRICS_ADDRESS": "127.0.0.1",
        "METRICS_PORT": "9100",
        "PROCESSES": "2",
        "POOL_SIZE": "3",
        "POOL_SECONDS": "1.5",
        "STATEMENT_SECONDS": "2",
        "CLIENT_SECONDS": "3",
        "LOAD_BYTES": "1000",
        "CORS_ORIGINS": "https://example.org",
        "TRUSTED_PROXIES": "192.0.2.1,192.0.2.2",
        "MIGRATION_LOCK_SECONDS": "4",
        "MIGRATION_TRIES": "7",
        "MIGRATION_STATEMENT_SECONDS": "0",
        "PREROLL_SECONDS": "5",
        "DRAIN_SECONDS": "6",
        "LOG_LEVEL": "warning",
        "LOG_FORMAT": "json",
    }
    assert set(given) == {field.name.upper() for field in fields(Settings)}
    settings = load(given)
    assert settings.database_url is not None
    assert settings.database_url.host == "db"
    for field in fields(Settings)[1:]:
        assert str(getattr(settings, field.name)).removesuffix(".0") == given[
            field.name.upper()
        ].removesuffix(".0")


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "http", "PORT is 'http'; expected `int`."),
        ("PORT", "65536", "PORT is '65536'; expected `int` <= 65535."),
        ("POOL_SIZE", "0", "POOL_SIZE is '0'; expected `int` >= 1."),
        ("DRAIN_SECONDS", "-1", "DRAIN_SECONDS is '-1'; expected `float` >= 0."),
        ("DRAIN_SECONDS", "nan", "DRAIN_SECONDS is 'nan'; expected `float` >= 0."),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud'; expected one of debug, info, warning, error."),
        ("DATABASE_URL", "mysql://h/d", "DATABASE_URL begins with mysql://; expected postgresql:"),
        ("DATABASE_URL", "postgres://h/d", "DATABASE_URL begins with postgres://; expected post"),
        ("DATABASE_URL", "postgresql://h", "DATABASE_URL names no database; expected postgresql"),
        ("DATABASE_URL", "shop", "DATABASE_URL cannot be read; expected postgresql://user:passw"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_must_be(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({name: value})
    assert str(raised.value).startswith(message)


SECRET = st.text("s3cre!/:@?#%\\ ", min_size=1).map(lambda noise: f"XYZZY{noise}")


@given(
    st.sampled_from(["DATABASE_URL", "REPLICA_URL"]),
    st.sampled_from(
        [
            "postgresql://ann:{}@db/shop",
            "postgresql://ann@db/shop?password={}",
            "mysql://ann:{}@db/shop",
            "postgresql://ann:{}@db",
            "postgresql:/ann:{}@db/shop",
        ]
    ),
    SECRET,
)
def test_a_password_is_in_no_repr_and_in_no_error(name: str, form: str, secret: str) -> None:
    try:
        shown = repr(load({name: form.format(secret)}))
    except SettingsError as error:
        shown = str(error)
        assert error.__context__ is None or error.__suppress_context__  # noqa: PT017
    assert "XYZZY" not in shown


@given(st.dictionaries(st.sampled_from([f.name.upper() for f in fields(Settings)]), st.text()))
def test_whatever_is_set_is_read_or_refused_by_name(environ: dict[str, str]) -> None:
    try:
        load(environ)
    except SettingsError as error:
        assert any(str(error).startswith(name) for name in environ)  # noqa: PT017


def test_a_database_is_described_without_its_password() -> None:
    settings = load({"DATABASE_URL": "postgresql://ann:s3cret@db:5433/shop"})
    assert settings.database_url is not None
    assert describe(settings.database_url) == "shop on db:5433 as ann"
