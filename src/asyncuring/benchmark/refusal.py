"""How the benchmark says no: one line for the person at the terminal, exit status 2."""


class RefusalError(Exception):
    """What was asked for cannot be measured here; the message says why, in one line."""
