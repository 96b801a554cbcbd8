"""Runs SQLAlchemy's suite for dialects on ``sqlite+aiomemdb``, in the way that its README.dialects.rst describes.

``test_schema`` needs ATTACH. So it is not there: ``schemas`` are closed, and connections are provisioned without it.
"""

from __future__ import annotations

import os

import pytest
from sqlalchemy.dialects.sqlite import provision
from sqlalchemy.testing import exclusions
from sqlalchemy.testing.provision import post_configure_engine
from test.requirements import DefaultRequirements  # SQLAlchemy's, not Python's

pytest_plugins = ["sqlalchemy.testing.plugin.pytestplugin"]


class Requirements(DefaultRequirements):
    @property
    def schemas(self) -> exclusions.compound:
        return exclusions.closed()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    provision._drivernames.add("aiomemdb")
    post_configure_engine.fns["sqlite"] = lambda url, engine, follower_ident: None
    if "AIOMEMDB_STOCK" in os.environ:
        config.option.db = ["stock"]
