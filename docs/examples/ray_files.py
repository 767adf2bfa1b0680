import fsspec
import ray


def count_lines(urls: list[str]) -> int:
    # In a worker's process, which starts a driver of its own when it first opens a file.
    files = fsspec.filesystem("uring")
    return sum(content.count(b"\n") for content in files.cat(urls).values())


def main(directory: str) -> None:
    files = fsspec.filesystem("uring")
    urls = [files.unstrip_protocol(f"{directory}/{number}.log") for number in range(64)]
    files.pipe(dict.fromkeys(urls, b"one line\n" * 1000))

    ray.init(num_cpus=2, include_dashboard=False, logging_level="error")
    counting = ray.remote(count_lines)
    counts = [counting.remote(urls[first::4]) for first in range(4)]
    print(sum(ray.get(counts)))


if __name__ == "__main__":
    main("logs")
