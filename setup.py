"""The part of the build that pyproject.toml cannot say: the C core, and its stable-ABI tag."""

import sysconfig

from setuptools import setup

# The limited API does not exist on a free-threaded CPython: there each version has its wheel.
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

setup(
    cffi_modules=["src/asyncuring/_native/build.py:ffibuilder"],
    options={
        "bdist_wheel": {} if free_threaded else {"py_limited_api": "cp310"},
        # One small module: always compiled with today's environment, never taken over from a
        # build that found no liburing.
        "build_ext": {"force": "1"},
    },
)
