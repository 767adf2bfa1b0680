"""`python -m asyncuring`: what runs here, why, and within which limits."""

from __future__ import annotations

from ._report import report

print(report())
