"""A FastAPI service on SQLModel: 64 requests at once raise one counter, and none of it is lost.

    pip install 'aiomemdb[sqlalchemy]' sqlmodel fastapi httpx
    python examples/frameworks/sqlmodel_fastapi.py [shop.db]

One line differs from a service on aiosqlite: how its engine is made. httpx calls the service without a server.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from aiomemdb.integrations.sqlalchemy import create_async_engine

REQUESTS = 64


class Product(SQLModel, table=True):  # type: ignore[call-arg]
    id: int | None = Field(default=None, primary_key=True)
    name: str
    sold: int = 0


def service(path: str) -> FastAPI:
    engine = create_async_engine(path)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        async with AsyncSession(engine) as session, session.begin():
            session.add(Product(name="tea"))
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/{name}/sell")
    async def sell(name: str) -> int:
        async with AsyncSession(engine) as session, session.begin():
            product = (await session.exec(select(Product).where(Product.name == name).with_for_update())).one()
            product.sold += 1
            return product.sold

    @app.get("/{name}")
    async def show(name: str) -> int:
        async with AsyncSession(engine) as session:
            return (await session.exec(select(Product.sold).where(Product.name == name))).one()

    return app


async def main(path: str) -> None:
    app = service(path)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client,
    ):
        await asyncio.gather(*(client.post("/tea/sell") for _ in range(REQUESTS)))
        print(f"{REQUESTS} requests, sold: {(await client.get('/tea')).json()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "shop.db")))
