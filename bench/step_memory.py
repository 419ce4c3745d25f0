"""What it saves to keep the memory that tensors free: a CPU step and a forward pass.

    python bench/step_memory.py [--backbone tf_efficientnet_lite0] [--size 128] [--batches 16 64]

Processes with glibc's defaults and with the package's settings (`settings_of`) take turns, one
thread each; the ratio is of the least processor time of either, and the peak memory stands beside.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time

ROUNDS, STEPS = 3, 6


def measure(backbone, size, batch, kept):
    """Print milliseconds of an image in a step and forward, and the peak in MB."""
    import torch

    from equiderm.batch import Batch
    from equiderm.debias import METHODS, Rates, take_step
    from equiderm.models import create_backbone
    from equiderm.training.experiment import Experiment
    from equiderm.training.precision import settings_of

    torch.set_num_threads(1)
    built = create_backbone(backbone, "random")
    method = METHODS["erm"](built.module, built.n_features).to(memory_format=torch.channels_last)
    optimizers = method.optimizers(Rates())
    image = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    target = torch.randint(0, 2, (batch,)).float()
    rows = Batch(image, target, torch.randint(0, 6, (batch,)))

    def least(work):
        took = []
        for _ in range(STEPS):
            begun = time.process_time()
            work()
            took.append(time.process_time() - begun)
        return 1000 * min(took[1:]) / batch

    with settings_of(Experiment()) if kept else contextlib.nullcontext():
        step = least(lambda: take_step(method, optimizers, rows))
        method.eval()
        with torch.inference_mode():
            forward = least(lambda: method(image))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([step, forward, peak]))


def main():
    """Print one line per batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--one", choices=["kept", "default"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.backbone, args.size, args.batches[0], args.one == "kept")
        return
    for batch in args.batches:
        found = {"default": [], "kept": []}
        for _ in range(ROUNDS):
            for which, figures in found.items():
                how = ("--one", which, "--batches", str(batch), "--size", str(args.size))
                command = [sys.executable, __file__, *how, "--backbone", args.backbone]
                printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                figures.append(json.loads(printed))
        default, kept = ([min(values) for values in zip(*rows, strict=True)]
                         for rows in found.values())  # fmt: skip
        print(
            f"batch {batch}, {args.size} px: step {default[0]:.1f} ms an image, kept {kept[0]:.1f} "
            f"({default[0] / kept[0]:.2f} times as fast); forward {default[1]:.1f}, {kept[1]:.1f} "
            f"({default[1] / kept[1]:.2f}); peak {default[2]:.0f}, {kept[2]:.0f} MB"
        )


if __name__ == "__main__":
    main()
