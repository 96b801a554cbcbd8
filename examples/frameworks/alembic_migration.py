"""Alembic migrates a file of aiomemdb's: upgraded to its latest revision, and down again.

    pip install 'aiomemdb[sqlalchemy]' alembic
    python examples/frameworks/alembic_migration.py [app.db]

``ENV`` is what a project has in ``migrations/env.py``, as Alembic's own template for asyncio; the URL alone is ours.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from aiomemdb import blocking

ENV = """
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import async_engine_from_config

def run(connection):
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    section = context.config.get_section(context.config.config_ini_section)
    engine = async_engine_from_config(section)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()

asyncio.run(main())
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {revision!r}, {after!r}

def upgrade():
    {upgrade}

def downgrade():
    {downgrade}
"""
NOTE = 'op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))'
WHEN = """with op.batch_alter_table("note") as table:
        table.add_column(sa.Column("at", sa.DateTime))"""
NEVER = """with op.batch_alter_table("note") as table:
        table.drop_column("at")"""


def project(folder: Path, database: str) -> Config:
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV)
    steps = (("1", None, NOTE, 'op.drop_table("note")'), ("2", "1", WHEN, NEVER))
    for revision, after, upgrade, downgrade in steps:
        text = REVISION.format(revision=revision, after=after, upgrade=upgrade, downgrade=downgrade)
        (versions / f"{revision}.py").write_text(text)
    config = Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", f"sqlite+aiomemdb:///{database}")
    return config


def columns(database: str) -> list[str]:
    with blocking.connect(database) as db:
        return [row["name"] for row in db.read("SELECT name FROM pragma_table_info('note')")]


def main(database: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = project(Path(folder), database)
        for step, to in ((command.upgrade, "head"), (command.downgrade, "1")):
            step(config, to)
            print(f"{step.__name__} to {to}: note has {', '.join(columns(database))}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "app.db"))
