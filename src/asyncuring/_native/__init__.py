"""The C core. `boundary.h` is all that Python may call; `build.py` compiles it to `_core`."""
