"""How busy a comparison of small networks keeps one GPU: the step, runs at once, six experiments.

    python bench/gpu_compare.py                 # one GPU, at most 8 minutes
    python bench/gpu_compare.py --parts 4       # only the comparison, with 8 processes
    python bench/gpu_compare.py --small         # the same code on a CPU, in a few minutes

Prints the device, and of one run on it:
  1. the bare network's training step on resident tensors in each form that this machine has: as it
     is, channels last, compiled, compiled with CUDA graphs, one CUDA graph of the whole step; what
     it lacks is named; and the passes as the loop replays them, without an optimiser;
  2. the loop of `equiderm train` on the same network, with its data, as a share of the fastest form
     (goal 0.9);
  3. several such loops at once on the device for some seconds, once all are under way: images a
     second in all, and how busy it is (goal 70 %);
  4. six experiments by five seeds with validation, tests and probes, in as many processes as 3 was
     best with: runs trained and tests scored when time is up (goal: all 30 and 90 in 6 minutes),
     and the seconds from one file of a run to the next.
Images are drawn, the backbone has random weights. Figures of a CPU say nothing of a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equiderm.compare import compare
from equiderm.data.synthetic import synthesize_to
from equiderm.models import create_backbone
from equiderm.training import ArrayImages, experiment_from, fit
from equiderm.training.images import build_images, read_rows
from equiderm.training.precision import has_bf16
from equiderm.training.replay import Recording

METHODS = ("erm", "resampling", "lntl", "tabe", "clgr", "group_dro")
LIMIT = 470  # s of everything: 8 minutes, less what starting takes
ONLY_PASSES = "the passes as the loop replays them, without an optimiser"
TOGETHER = 4.0  # s for which loops at once are watched
FORM = 45  # s that a form of the step, or the compiled loop, may take: compiling can take longer
FULL = {
    "backbone": "tf_efficientnet_lite0",
    "size": 128,
    "batch": 64,
    "images": 9_000,
    "test": 1_000,
    "epochs": 6,
    "seeds": 5,
    "steps": 60,
    "at_once": (1, 2, 4, 8),
}
SMALL = {
    "backbone": "test_resnet",
    "size": 32,
    "batch": 16,
    "images": 160,
    "test": 60,
    "epochs": 1,
    "seeds": 1,
    "steps": 6,
    "at_once": (1, 2),
}
TESTS = ("test-a", "test-b", "test-c")


class Enough(Exception):
    """Raised when a measurement has seen its steps, or its time is up."""


def now(device: str) -> float:
    """Return the time in seconds, once the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Busy:
    """How busy the GPU is, in percent, as `nvidia-smi` says every half second; NaN without one."""

    def __enter__(self) -> Busy:
        self.seen: list[float] = []
        self._process = None
        if torch.cuda.is_available() and shutil.which("nvidia-smi"):
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "500"]
            self._process = subprocess.Popen(
                ["nvidia-smi", *query], stdout=subprocess.PIPE, text=True
            )
            threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self.seen.append(float(line.split()[0]))

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def percent(self) -> str:
        """The mean."""
        return f"{np.mean(self.seen):.0f} % busy" if self.seen else "how busy is not known"


def bare_forms(choice: argparse.Namespace) -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return the forms of a training step: each makes the function that does one."""
    device, half = choice.device, has_bf16(torch.device(choice.device))

    def make(last: bool, compiled: str | None) -> Callable[[], Any]:
        module: Any = create_backbone(choice.backbone, "random").module.to(device)
        image = torch.randn(choice.batch, 3, choice.size, choice.size, device=device)
        if last:
            module = module.to(memory_format=torch.channels_last)
            image = image.contiguous(memory_format=torch.channels_last)
        if compiled is not None:
            module.compile(mode=compiled)
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

        def step() -> None:
            with torch.autocast(device, torch.bfloat16, enabled=half):
                loss = module(image).float().square().mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()

        return step

    def graph() -> Callable[[], Any]:
        if device != "cuda":
            raise RuntimeError("a CUDA graph needs a GPU")
        step, side = make(True, None), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                step()
        torch.cuda.current_stream().wait_stream(side)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            step()
        return recorded.replay

    forms = {
        "as it is": lambda: make(False, None),
        "channels last": lambda: make(True, None),
        "one CUDA graph": graph,
    }
    if choice.compile:
        forms["compiled"] = lambda: make(True, "default")
        forms["compiled with CUDA graphs"] = lambda: make(True, "reduce-overhead")
    return forms


def replayed(choice: argparse.Namespace) -> Callable[[], Any]:
    """Return forward and backward as the loop replays them: its bound, without an optimiser."""
    module: Any = create_backbone(choice.backbone, "random").module.to(choice.device)
    module = module.to(memory_format=torch.channels_last)
    image = torch.randn(choice.batch, 3, choice.size, choice.size, device=choice.device)
    with torch.autocast(choice.device, torch.bfloat16, enabled=has_bf16(image.device)):
        image = image.contiguous(memory_format=torch.channels_last)
        recording = Recording(module.forward, module, image)

    def step() -> None:
        recording.forward()
        recording.backward()

    return step


def bare(choice: argparse.Namespace) -> float:
    """Print the images a second of every form, and return the most."""
    best = 0.0
    forms = bare_forms(choice)
    if choice.device == "cuda":
        forms[ONLY_PASSES] = lambda: replayed(choice)
    for name, make in forms.items():
        try:
            with time_limit(FORM):
                step = make()
                for _ in range(choice.warmup):
                    step()
                start = now(choice.device)
                for _ in range(choice.steps):
                    step()
                rate = choice.steps * choice.batch / (now(choice.device) - start)
        except Exception as error:  # a form that this machine or this network has not
            why = str(error).partition("\n")[0][:100] or f"not within {FORM} s"
            print(f"  {name}: not here ({why})", flush=True)
            continue
        best = max(best, rate) if name != ONLY_PASSES else best
        print(f"  {name}: {rate:,.0f} images/s", flush=True)
    return best


def experiment(choice: argparse.Namespace, method: str, **tables: Any) -> Any:
    """Return an experiment of a method."""
    training = {"epochs": choice.epochs, "batch_size": choice.batch, "tracker": "none"}
    return experiment_from(
        {
            "method": {"name": method},
            "backbone": {"name": choice.backbone, "weights": "random"},
            "data": {"size": choice.size, "group": "ita_band"},
            "optimizer": dict.fromkeys(("backbone", "target_head", "group_head"), 0.01),
            "training": training | tables.pop("training", {}),
            "prediction": {"views": 8},
            **tables,
        }
    )


def loop_rate(
    choice: argparse.Namespace,
    *,
    compiled: bool = False,
    seconds: float | None = None,
    begin: Callable[[], object] = lambda: None,
) -> float:
    """Return images a second of the whole loop on images of noise, after the warm-up.

    Args:
        choice: The sizes.
        compiled: With `compile`.
        seconds: How long to look, in place of a number of steps.
        begin: Called when warm.
    """
    random = np.random.default_rng(0)
    n = choice.images  # an epoch as long as a real one: each ends with a saved state
    images = random.integers(0, 256, (n, choice.size, choice.size, 3), dtype=np.uint8)
    names = [str(k) for k in range(n)]
    import pandas as pd

    frame = pd.DataFrame({"image_id": names, "split": "train"}).assign(
        target=random.integers(0, 2, n), ita_band=random.integers(1, 7, n)
    )
    started, seen = 0.0, 0

    def watch(progress: Any) -> None:
        nonlocal started, seen
        if progress.step == choice.warmup:
            now(choice.device)
            begin()
            started = time.perf_counter()
        seen = progress.step - choice.warmup
        over = seconds is not None and time.perf_counter() - started > seconds
        if seen > 0 and (over if seconds is not None else seen == choice.steps):
            raise Enough

    training = {"epochs": 10**5, "checkpoint_steps": 10**9, "compile": compiled}
    run = experiment(choice, "erm", training=training)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(run, frame, Path(folder, "run"), images=ArrayImages(images, names), watch=watch)
        except Enough:
            return seen * choice.batch / (now(choice.device) - started)
    raise RuntimeError("too few images for that many steps")


def one_loop(choice: argparse.Namespace) -> None:
    """Run a loop that says when it is warm, waits for a line, and prints its rate."""

    def begin() -> None:
        print("warm", flush=True)
        sys.stdin.readline()

    print(loop_rate(choice, seconds=TOGETHER, begin=begin))


def at_once(choice: argparse.Namespace, arguments: list[str]) -> int:
    """Print what several loops do together, and return how many do most."""
    rates: dict[int, float] = {}
    command = [sys.executable, __file__, *arguments, "--one-loop"]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    pipe = subprocess.PIPE
    for count in choice.at_once:
        loops = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
            for _ in range(count)
        ]
        for one in loops:
            assert one.stdout is not None
            one.stdout.readline()
        with Busy() as busy:
            for one in loops:
                assert one.stdin is not None
                one.stdin.write("\n")
                one.stdin.flush()
            rates[count] = sum(float(one.communicate()[0].split()[-1]) for one in loops)
        print(f"  {count}: {rates[count]:,.0f} images/s in all, {busy.percent}", flush=True)
    return max(rates, key=lambda count: rates[count])


@contextlib.contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Raise Enough inside the block when the time is up."""

    def stop(number: int, frame: Any) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1.0))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def comparison(choice: argparse.Namespace, workers: int, seconds: float) -> None:
    """Train, score and probe the six experiments until they are done or time is up."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = time.perf_counter()
        about = {"size": choice.size, "confounding": 0.5}
        sets = [
            {"n": n, "split": split, **about}
            for split, n in (
                ("train", choice.images * 4 // 5),
                ("validation", choice.images // 5),
                *((test, choice.test) for test in TESTS),
            )
        ]
        manifest, _ = synthesize_to(folder / "drawn", *sets)
        store, rows, _ = build_images(read_rows([manifest]), folder / "store", size=choice.size)
        print(f"  drawn and decoded in {time.perf_counter() - start:.0f} s", flush=True)
        seconds -= time.perf_counter() - start
        validation = {"validation": {"figure": "auroc"}}
        experiments = {name: experiment(choice, name, **validation) for name in METHODS}
        start, over = time.perf_counter(), ""
        with Busy() as busy:
            try:
                with time_limit(seconds):
                    compare(experiments, rows, folder / "runs", images=store,
                            seeds=choice.seeds, workers=workers)  # fmt: skip
            except Enough:
                over = ", when time was up"
        took = time.perf_counter() - start
        trained = len(list((folder / "runs").glob("*/seed-*/model.safetensors")))
        scored = sum(
            len(list((folder / "runs").glob(f"*/seed-*/{one}-probe.json"))) for one in TESTS
        )
        runs = len(METHODS) * choice.seeds
        print(
            f"  {trained} of {runs} runs trained, {scored} of {runs * len(TESTS)} tests scored and "
            f"probed in {took:.0f} s{over}; {workers} at once, {busy.percent}"
        )
        where_time_went(folder / "runs")


def where_time_went(runs: Path) -> None:
    """Print the median seconds from one file of a run to the next."""
    files = ["experiment.toml", "model.safetensors"]
    files += [f"{test}{ending}" for test in TESTS for ending in (".parquet", "-probe.json")]
    steps: dict[str, list[float]] = {}
    for run in runs.glob("*/seed-*"):
        written = [(one, run / one) for one in files if (run / one).exists()]
        for (_, before), (name, after) in itertools.pairwise(written):
            took = after.stat().st_mtime - before.stat().st_mtime
            steps.setdefault(name, []).append(took)
    for name, took in steps.items():
        print(f"    to {name}: {np.median(took):.1f} s, at most {max(took):.1f}")


def main() -> None:
    """Print the four parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="tiny, on a CPU")
    parser.add_argument("--parts", default="1,2,3,4", help="such as 4; 1 and 2 go together")
    parser.add_argument("--workers", type=int, help="of part 4; else what part 3 was best with")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction,
                        help="compiled forms, too; by default on a GPU alone")  # fmt: skip
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of everything")
    parser.add_argument("--one-loop", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.small:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the loop takes a GPU wherever it sees one
    elif not torch.cuda.is_available():
        print("no GPU here: nothing measured; --small runs the same code on a CPU")
        return
    device = "cpu" if given.small else "cuda"
    size = SMALL if given.small else FULL
    compiled = given.compile if given.compile is not None else device == "cuda"
    choice = argparse.Namespace(**size, device=device, compile=compiled, warmup=0)
    choice.warmup = 2 if given.small else 20
    if given.one_loop:
        one_loop(choice)
        return
    begun = time.perf_counter()
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    parts = given.parts.split(",")
    print(f"{name}, torch {torch.__version__}: {choice.backbone}, {choice.size} px, batch "
          f"{choice.batch}", flush=True)  # fmt: skip
    if {"1", "2"} & set(parts):
        print("1. the bare network's step", flush=True)
        best = bare(choice)
        print("2. the loop")
        for compiled in (False, True) if choice.compile else (False,):
            how = "compile = true" if compiled else "as it is"
            try:
                with time_limit(FORM):
                    rate = loop_rate(choice, compiled=compiled)
            except Enough:
                print(f"  {how}: not within {FORM} s", flush=True)
                continue
            share = f"{rate / best:.2f} of the fastest form"
            print(f"  {how}: {rate:,.0f} images/s, {share}", flush=True)
    workers = given.workers or choice.at_once[-1]
    if "3" in parts:
        print("3. loops at once", flush=True)
        workers = given.workers or at_once(choice, ["--small"] if given.small else [])
    if "4" in parts:
        print(f"4. {len(METHODS)} experiments x {choice.seeds} seeds, {choice.images:,} images x "
              f"{choice.epochs} epochs, {len(TESTS)} tests", flush=True)  # fmt: skip
        comparison(choice, workers, given.limit - (time.perf_counter() - begun))


if __name__ == "__main__":
    main()
