"""Refuses all interpreters of a process but the main one (PEP 734; mod_wsgi has others, too).

An interpreter that ends gives its memory back, also what the kernel may still write to: what is
leaked on purpose at the end of the main one. And only one of them would hear of a fork.
"""

from __future__ import annotations

import ctypes

__all__ = ["refuse_other_interpreters"]

_THIS, _MAIN = (
    ctypes.PYFUNCTYPE(ctypes.c_void_p)((f"PyInterpreterState_{which}", ctypes.pythonapi))
    for which in ("Get", "Main")
)


def refuse_other_interpreters() -> None:
    """Raise an ImportError, unless this is the main interpreter."""
    if _THIS() != _MAIN():
        message = (
            "asyncuring does not support loading in subinterpreters: it works in the main "
            "interpreter of a process alone (mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )
        raise ImportError(message)
