"""The C core. `boundary.h` is all that Python may call; `build.py` compiles it to `_core`."""

from .main_interpreter import refuse_other_interpreters

refuse_other_interpreters()  # before they load `_core`
