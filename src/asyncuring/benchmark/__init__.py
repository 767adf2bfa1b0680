"""Measure what file IO costs from asyncio and trio, and how fairly it is shared out.

Run it as ``python -m asyncuring.benchmark``. Measuring, storing and drawing are
three programs: trials produce records, and a report is a pure function of the records.
"""
