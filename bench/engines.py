"""What the engines add to the work: seconds per start and item, over workers, and labels of both.

Items that only wait for 10 ms show what dealing out costs, on a machine with fewer cores than
workers too: `ideal` is the time without any cost. A Ray cluster stands, and its workers have begun:
every line of it is the second of two. Labels are of drawn images, with as many workers as cores.

    python bench/engines.py [--items 2000] [--images 600]
"""

from __future__ import annotations

import argparse
import logging
import signal
import tempfile
import time
from pathlib import Path

import ray

from equiderm import label
from equiderm.data.synthetic import synthesize, write_archive
from equiderm.engine import default_workers, run

WAIT = 0.01  # s


def seconds(engine: str, workers: int, items: int) -> tuple[float, float]:
    """Return when the first result came, and the last."""
    start = time.perf_counter()
    # waits and returns nothing; of the standard library, so that every worker can load it
    results = run(signal.sigtimedwait, [()] * items, shared=WAIT, workers=workers, engine=engine)
    first = 0.0
    for done, _ in enumerate(results):
        first = first if done else time.perf_counter() - start
    return first, time.perf_counter() - start


def waiting(items: int) -> None:
    print("| engine | workers | first result, s | all, s | ideal, s | added per item, ms |")
    print("|---|---|---|---|---|---|")
    for workers in (1, 2, 4, 8, 16):
        for engine in ("local", "ray"):
            if engine == "local" and workers == 1:
                continue  # no engine at all
            if engine == "ray":
                seconds(engine, workers, 8 * workers)
            first, last = seconds(engine, workers, items)
            ideal = items * WAIT / workers
            added = 1000 * (last - first - ideal) * workers / items
            print(
                f"| {engine} | {workers} | {first:.2f} | {last:.2f} | {ideal:.2f} | {added:.2f} |",
                flush=True,
            )


def labels(images: int) -> None:
    print("\n| labels | images | s | ratio to local |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(synthesize(images, size=512), folder)
        took: dict[str, float] = {}
        for engine in ("local", "ray", "local", "ray"):
            start = time.perf_counter()
            label(folder / "images", workers=default_workers(), engine=engine)
            took[engine] = min(time.perf_counter() - start, took.get(engine, float("inf")))
        for engine, best in took.items():
            print(f"| {engine} | {images:,} | {best:.1f} | {best / took['local']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--images", type=int, default=600)
    options = parser.parse_args()
    start = time.perf_counter()
    ray.init(num_cpus=16, log_to_driver=False, logging_level=logging.ERROR)
    print(f"A Ray cluster starts in {time.perf_counter() - start:.1f} s.\n")
    waiting(options.items)
    labels(options.images)
    ray.shutdown()


if __name__ == "__main__":
    main()
