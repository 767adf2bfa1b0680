import dask.array
import numpy as np
import zarr
from distributed import Client, LocalCluster

from asyncuring.integrations.zarr import UringStore


def main(path: str) -> None:
    array = zarr.create_array(
        UringStore(path), shape=(64, 256, 256), chunks=(1, 256, 256), dtype="f4", compressors=None
    )
    array[...] = np.arange(64, dtype="f4")[:, None, None]

    # Each worker is a process, which opens the store for itself: what goes there is its path.
    workers = LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None)
    with workers, Client(workers):
        days = dask.array.from_zarr(array)
        print(days.mean().compute(), days[60:].max().compute())


if __name__ == "__main__":  # workers import this file, too
    main("temperatures.zarr")
