"""Programs that read local files through somebody else's interface: zarr's stores, fsspec's URLs.

Nothing here is imported unless it is asked for by name; each module says what it needs.
"""
