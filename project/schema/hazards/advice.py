"""The safe way to the same end, in Alembic's operations and with the names at hand.

Each recipe works on PostgreSQL 15 to 18 and blocks nobody for longer than an instant. What must not
share a transaction is said to be a revision of its own.

Sources:
    https://www.postgresql.org/docs/current/sql-altertable.html (Notes)
    https://alembic.sqlalchemy.org/en/latest/api/runtime.html (autocommit_block)

"""

from collections.abc import Sequence

from project.schema.hazards.actions import Action
from project.schema.reviewing.observation import Statement, Work

#: What keeps the wait for a strong lock short.
TIMEOUT = """\
op.execute("SET lock_timeout = '5s'")  # at the beginning of upgrade(), or in env.py:
# connect_args={"options": "-c lock_timeout=5s"}"""

OWN = "# in a revision of its own, with transaction_per_migration=True in env.py:\n"


def rewrite(action: Action, work: tuple[Work, ...]) -> str:
    """Write the safe way to what an action does, or "" where there is none to write."""
    recipe = _RECIPES.get(action.kind)
    return recipe(action, work) if recipe else ""


def _target(action: Action) -> str:
    schema, _, table = action.table.rpartition(".")
    return f'"{table}"' + (f', schema="{schema}"' if schema else "")


def _columns(action: Action) -> str:
    return "[" + ", ".join(f'"{part.strip()}"' for part in action.column.split(",")) + "]"


def _short(action: Action) -> str:
    return action.table.rpartition(".")[2]


def _first(action: Action) -> str:
    return "_".join(part.strip().split()[0] for part in action.column.split(",") if part.strip())


def _set_not_null(action: Action, _: tuple[Work, ...]) -> str:
    table, column, name = action.table, action.column, f"{_short(action)}_{action.column}_not_null"
    return (
        f'op.execute("ALTER TABLE {table} ADD CONSTRAINT {name}'
        f' CHECK ({column} IS NOT NULL) NOT VALID")\n'
        f"{OWN}"
        f'op.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")\n'
        "# in a third one; the valid check spares the scan:\n"
        f'op.alter_column({_target(action)}, column_name="{column}", nullable=False)\n'
        f'op.drop_constraint("{name}", {_target(action)})'
    )


def _check(action: Action, _: tuple[Work, ...]) -> str:
    name = action.name or f"{_short(action)}_check"
    return (
        f'op.execute("ALTER TABLE {action.table} ADD CONSTRAINT {name}'
        f' CHECK {_quoted(action.text)} NOT VALID")\n'
        f"{OWN}"
        f'op.execute("ALTER TABLE {action.table} VALIDATE CONSTRAINT {name}")'
    )


def _foreign_key(action: Action, _: tuple[Work, ...]) -> str:
    name = action.name or f"{_short(action)}_{_first(action)}_fkey"
    return (
        f'op.execute("ALTER TABLE {action.table} ADD CONSTRAINT {name} FOREIGN KEY'
        f' ({action.column}) REFERENCES {action.other} {_quoted(action.text)} NOT VALID")\n'
        f"{OWN}"
        f'op.execute("ALTER TABLE {action.table} VALIDATE CONSTRAINT {name}")'
    )


def _unique(action: Action, _: tuple[Work, ...]) -> str:
    primary = action.kind == "primary key"
    name = action.name or f"{_short(action)}_{'pkey' if primary else _first(action) + '_key'}"
    kind = "PRIMARY KEY" if primary else "UNIQUE"
    nullable = "# the columns must be NOT NULL already, or they are scanned for it\n"
    return (
        f"{nullable if primary else ''}"
        "with op.get_context().autocommit_block():\n"
        f'    op.create_index("{name}", {_target(action)}, columns={_columns(action)},'
        " unique=True, postgresql_concurrently=True)\n"
        f'op.execute("ALTER TABLE {action.table} ADD CONSTRAINT {name} {kind} USING INDEX {name}")'
    )


def _using_index(action: Action, _: tuple[Work, ...]) -> str:
    return (
        "# the columns of the index become NOT NULL here; do that before, with a validated check:\n"
        f'op.execute("ALTER TABLE {action.table} ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID")'
        f'\n{OWN}op.execute("ALTER TABLE {action.table} VALIDATE CONSTRAINT …")\n'
        f"op.alter_column({_target(action)}, column_name=…, nullable=False)"
    )


def _index(action: Action, _: tuple[Work, ...]) -> str:
    unique = ", unique=True" if action.text else ""
    return (
        "with op.get_context().autocommit_block():\n"
        f'    op.create_index("{action.name}", {_target(action)}, columns={_columns(action)}'
        f"{unique}, postgresql_concurrently=True)"
    )


def _reindex(action: Action, _: tuple[Work, ...]) -> str:
    return (
        "with op.get_context().autocommit_block():\n"
        f'    op.execute("REINDEX {action.text.upper()} CONCURRENTLY {action.name}")'
    )


def _type(action: Action, work: tuple[Work, ...]) -> str:
    if all(each.kind == "scan" for each in work):
        return (
            "# a CHECK that names the column is verified again: drop it first, and afterwards\n"
            f'op.execute("ALTER TABLE {action.table} ADD CONSTRAINT … CHECK (…) NOT VALID")\n'
            f'{OWN}op.execute("ALTER TABLE {action.table} VALIDATE CONSTRAINT …")'
        )
    if all(each.kind in ("build", "scan") for each in work):
        names = sorted({each.index for each in work if each.kind == "build"})
        return (
            f"# {', '.join(names)} would be built anew under the lock: drop such an index first\n"
            "with op.get_context().autocommit_block():\n"
            + "".join(
                f'    op.drop_index("{name}", table_name={_target(action)},'
                " postgresql_concurrently=True)\n"
                for name in names
            )
            + "# … then change the type, then build it again with postgresql_concurrently=True"
        )
    new = f"{action.column}_new"
    return (
        f'op.add_column({_target(action)}, column=sa.Column("{new}", …))'
        f"  # {action.text.split(' USING ')[0]}\n"
        f"# the service writes {action.column} and {new}; fill the old rows in batches, each"
        " committed:\n"
        f'op.execute("UPDATE {action.table} SET {new} = {action.column} WHERE …")\n'
        f"# a release later: read {new}, then drop {action.column}"
    )


def _add_column(action: Action, work: tuple[Work, ...]) -> str:
    text = action.text.upper()
    column, table = action.column, action.table
    if "REFERENCES" in text and all(each.kind == "scan" for each in work):
        return f'op.add_column({_target(action)}, column=sa.Column("{column}", …))\n' + OWN
    if "GENERATED" in text and "STORED" in text:
        return (
            f'op.add_column({_target(action)}, column=sa.Column("{column}", …))  # a plain one,'
            " filled by a trigger and in batches;\n"
            "# or, from PostgreSQL 18 on, sa.Computed(…, persisted=False)"
        )
    if "SERIAL" in text or "IDENTITY" in text:
        return (
            f'op.execute("CREATE SEQUENCE {table}_{column}_seq AS bigint")\n'
            f'op.add_column({_target(action)}, column=sa.Column("{column}", sa.BigInteger()))\n'
            f'op.alter_column({_target(action)}, column_name="{column}",'
            f" server_default=sa.text(\"nextval('{table}_{column}_seq')\"))\n"
            f'op.execute("UPDATE {table} SET {column} = DEFAULT WHERE …")  # in batches'
        )
    return (
        f'op.add_column({_target(action)}, column=sa.Column("{column}", …))  # no default yet\n'
        f'op.alter_column({_target(action)}, column_name="{column}", server_default=…)'
        "  # for new rows\n"
        f'op.execute("UPDATE {table} SET {column} = DEFAULT WHERE {column} IS NULL AND …")'
        "  # in batches, each committed"
    )


def _attach(action: Action, _: tuple[Work, ...]) -> str:
    return (
        f'op.execute("ALTER TABLE {action.other} ADD CONSTRAINT {action.other}_bound'
        ' CHECK (…the bounds…) NOT VALID")\n'
        f"{OWN}"
        f'op.execute("ALTER TABLE {action.other} VALIDATE CONSTRAINT {action.other}_bound")\n'
        "# in a third one; the valid check spares the scan, and one on the DEFAULT partition that\n"
        "# excludes the bounds spares its scan:\n"
        f'op.execute("ALTER TABLE {action.table} ATTACH PARTITION {action.other} {action.text}")'
    )


def _refresh(action: Action, _: tuple[Work, ...]) -> str:
    return (
        f'op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY {action.table}")'
        "  # needs a unique index on it"
    )


def _batches(action: Action, _: tuple[Work, ...]) -> str:
    begin = f"UPDATE {action.table} SET …" if action.kind == "update" else ""
    begin = begin or f"DELETE FROM {action.table}"
    return (
        "# in a revision of its own, after the one that changes the schema:\n"
        "with op.get_context().autocommit_block():\n"
        "    while op.get_bind().execute(sa.text(\n"
        f'        "{begin} WHERE ctid = ANY (ARRAY("\n'
        f'        "SELECT ctid FROM {action.table} WHERE … LIMIT 10000 FOR UPDATE SKIP LOCKED))"\n'
        "    )).rowcount:\n"
        "        pass"
    )


def _domain(action: Action, _: tuple[Work, ...]) -> str:
    return (
        f"# every table that uses {action.table} is scanned; keep the domain as it is, and give the"
        " columns\n# a CHECK of their own, NOT VALID first, then VALIDATE CONSTRAINT"
    )


def _compact(_: Action, __: tuple[Work, ...]) -> str:
    return "# not in a migration: pg_repack does it while the table is in use"


def _no_way(_: Action, __: tuple[Work, ...]) -> str:
    return (
        "# there is no way to do this while the table is in use: make a new table, copy in batches,"
        "\n# keep both in step with a trigger, and swap the names; or plan a downtime"
    )


_RECIPES = {
    "set not null": _set_not_null,
    "check": _check,
    "foreign key": _foreign_key,
    "unique": _unique,
    "primary key": _unique,
    "unique index": _using_index,
    "exclude": _no_way,
    "index": _index,
    "reindex": _reindex,
    "type": _type,
    "add column": _add_column,
    "attach": _attach,
    "partition": _attach,
    "refresh": _refresh,
    "update": _batches,
    "delete": _batches,
    "domain": _domain,
    "vacuum full": _compact,
    "cluster": _compact,
    "persistence": _no_way,
    "access method": _no_way,
}


def index(table: str, columns: Sequence[str]) -> str:
    """Write an index on columns, in the safe way."""
    name = f"{table.rpartition('.')[2]}_{'_'.join(columns)}_idx"
    return _index(Action("index", table, ", ".join(columns), name), ())


def split(first: Statement, then: Statement) -> str:
    """Say how a lock is let go before another statement works."""
    if first.revision != then.revision:
        return (
            "# in env.py, so that each revision commits:\n"
            "context.configure(…, transaction_per_migration=True)"
        )
    return (
        f"# move line {then.line} into a revision of its own, and in env.py:\n"
        "context.configure(…, transaction_per_migration=True)"
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
