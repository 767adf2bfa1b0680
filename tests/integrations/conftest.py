"""What the tests of zarr and fsspec take for granted: their loops, and coroutines as tests."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress

import pytest

from tests.running import run_asyncio


@pytest.fixture(scope="session", autouse=True)
def loops_of_others() -> None:
    """The first use of either package starts a loop in a thread, which stays: it is no leak."""
    with suppress(ImportError):
        from zarr.core.sync import sync

        sync(asyncio.sleep(0))
    with suppress(ImportError):
        from fsspec.asyn import get_loop
        from fsspec.asyn import sync as sync_in_fsspec

        sync_in_fsspec(get_loop(), asyncio.sleep, 0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run an async test function in a loop of its own, without a plugin for that."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = inspect.signature(function).parameters
    run_asyncio(lambda: function(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
