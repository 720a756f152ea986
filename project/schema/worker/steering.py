"""Every connection of a process, wherever its code means to connect, leads to a scratch database.

A project's env.py may take its URL from anywhere: a file, a variable, the application's settings,
a constant. All of them end in an engine of SQLAlchemy, whose connections are listened for here.
"""

import gc
import weakref
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

#: Arguments of a connection that say how its session behaves. All others say where it leads, who
#: connects and with which secret; of those nothing is kept.
BEHAVIOUR = {
    *("application_name", "autocommit", "client_encoding", "command_timeout", "cursor_factory"),
    *("options", "prepare_threshold", "prepared_statement_cache_size", "row_factory"),
    *("server_settings", "statement_cache_size"),
}

#: Attribute of Alembic's configuration in a process that is steered already.
STEERED = "project.schema.steered"


class RefusedError(Exception):
    """The foreign project cannot be worked for; the message says why in one sentence."""


@dataclass
class Steering:
    """Leads every connection that an engine of this process opens to the scratch database."""

    scratch: sa.engine.URL
    asked: bool = False  # whether a connection to PostgreSQL was asked for since this was last set
    dialect: "sa.engine.Dialect | None" = None  # of the last connection
    behaviour: dict[str, Any] = field(default_factory=dict)  # likewise
    engines: "weakref.WeakSet[sa.engine.Engine]" = field(default_factory=weakref.WeakSet)
    # Those that somebody may have forgotten to close.
    connections: "weakref.WeakSet[sa.engine.Connection]" = field(default_factory=weakref.WeakSet)

    def install(self) -> None:
        """Begin to steer, for as long as the process lives."""
        event.listen(sa.engine.Engine, "do_connect", self._connect)
        event.listen(sa.engine.Engine, "engine_connect", self._remember)
        event.listen(sa.pool.Pool, "connect", self._refuse_own_connections)
        event.listen(sa.pool.Pool, "checkout", self._refuse_other_databases)

    def remove(self) -> None:
        """Steer no more; what is open stays open."""
        event.remove(sa.engine.Engine, "do_connect", self._connect)
        event.remove(sa.engine.Engine, "engine_connect", self._remember)
        event.remove(sa.pool.Pool, "connect", self._refuse_own_connections)
        event.remove(sa.pool.Pool, "checkout", self._refuse_other_databases)

    def _connect(self, dialect: Any, record: Any, _: Any, given: dict[str, Any]) -> Any:  # noqa: ANN401
        if dialect.name != "postgresql":
            raise RefusedError(
                f"it connects to {dialect.name}; let its settings name a PostgreSQL, any one: "
                "every connection is led to a scratch database"
            )
        self.asked = True
        kept = {name: value for name, value in given.items() if name in BEHAVIOUR}
        if not str(kept.get("options", "-")).strip().startswith("-"):
            del kept["options"]  # a hosting service's word for the server: endpoint=…
        driver = f"postgresql+{dialect.driver}"
        positional, named = dialect.create_connect_args(self.scratch.set(drivername=driver))
        if "options" in kept and "options" in named:
            named["options"] = f"{kept['options']} {named['options']}"
        self.dialect, self.behaviour = dialect, kept
        record.info["scratch"] = self.scratch
        # A connection that is returned ends the event: the project's own listeners, which fetch a
        # token for the real server, are not asked.
        return dialect.connect(*positional, **{**kept, **named})

    def _remember(self, connection: "sa.engine.Connection", *_: Any) -> None:  # noqa: ANN401
        self.engines.add(connection.engine)
        if not connection.dialect.is_async:
            self.connections.add(connection)

    def _refuse_own_connections(self, _: Any, record: Any) -> None:  # noqa: ANN401
        if "scratch" not in record.info:
            raise RefusedError(
                "its engine opens connections with a function of its own (creator), "
                "which cannot be led to another database"
            )

    def _refuse_other_databases(self, _: Any, record: Any, __: Any) -> None:  # noqa: ANN401
        if record.info.get("scratch") != self.scratch:
            raise sa.exc.DisconnectionError  # the pool opens a new one instead

    def let_go(self) -> None:
        """Close what the project's engines keep open: no template is cloned while it is in use."""
        for connection in list(self.connections):
            if not connection.closed:
                connection.close()
        for engine in list(self.engines):
            if engine.dialect.is_async:
                # Its connections can be closed in their event loop only, which has ended. Before
                # 1.4.33 `dispose` could not be told to leave them.
                engine.pool = engine.pool.recreate()
            else:
                engine.dispose()
        if any(engine.dialect.is_async for engine in self.engines):
            gc.collect()
