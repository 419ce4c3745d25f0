"""What a step costs: each method against ERM, and joint against alternating, in one process.

    python bench/joint_step.py [--backbones test_resnet resnet18] [--rounds 15]

Steps of the variants are interleaved, so that whatever else the machine does falls on all of them;
each ratio is of the medians over the rounds, of time on the wall and, in brackets, of the
processor, which a busy machine disturbs less. Goals: joint / ERM at most 1.05, alternating / joint
at least 1.9. TABE's bias step leaves the backbone still, so that its ratio is (2 F + B) / (F + B)
of forward and backward time: 1.33 where B is 2 F, and 1.5 where it is F. "tabe as released" has
the released code's bias step, which moves the backbone.
"""

import argparse
import statistics
import time

import torch

from equiderm.batch import Batch
from equiderm.debias import METHODS, Rates, take_step
from equiderm.models import create_backbone

VARIANTS = {
    "lntl": ("lntl", {}),
    "tabe": ("tabe", {}),
    "tabe as released": ("tabe", {"reversal": -1.0}),
    "clgr": ("clgr", {}),
}
OTHERS = ("group_dro", "domain_independent", "dann", "cdann", "mmd", "coral")


def build(backbone, name, **options):
    """Return a method and its optimisers, the same weights at every call."""
    torch.manual_seed(0)
    made = create_backbone(backbone, "random")
    if name != "erm":
        options["n_groups"] = 6
    method = METHODS[name](made.module, made.n_features, **options)
    return method, method.optimizers(Rates())


def ratio(one, other):
    """Return the ratio on the wall and, in brackets, of the processor."""
    wall, processor = (a / b for a, b in zip(one, other, strict=True))
    return f"{wall:.3f} ({processor:.3f})"


def main():
    """Print one line a backbone and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["test_resnet", "resnet18"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=96)
    args = parser.parse_args()
    image = torch.randn(args.batch, 3, args.size, args.size)
    target = torch.randint(0, 2, (args.batch,)).float()
    batch = Batch(image, target, torch.randint(0, 6, (args.batch,)))
    for backbone in args.backbones:
        steps = {name: build(backbone, name) for name in ("erm", *OTHERS)}
        for name, (method, options) in VARIANTS.items():
            for schedule in ("joint", "alternating"):
                made = build(backbone, method, schedule=schedule, **options)
                steps[f"{name} {schedule}"] = made
        times = {name: [] for name in steps}
        for turn in range(args.rounds + 2):
            for name, (method, optimizers) in steps.items():
                wall, processor = time.perf_counter(), time.process_time()
                take_step(method, optimizers, batch)
                if turn >= 2:
                    took = time.perf_counter() - wall, time.process_time() - processor
                    times[name].append(took)
        median = {
            name: [statistics.median(values) for values in zip(*pairs, strict=True)]
            for name, pairs in times.items()
        }
        print(f"{backbone}, {args.size} px: ERM {args.batch / median['erm'][0]:.0f} images/s")
        for name in VARIANTS:
            joint, twice = median[f"{name} joint"], median[f"{name} alternating"]
            print(
                f"  {name}: joint / ERM {ratio(joint, median['erm'])}, "
                f"alternating / joint {ratio(twice, joint)}"
            )
        for name in OTHERS:
            print(f"  {name}: step / ERM {ratio(median[name], median['erm'])}")


if __name__ == "__main__":
    main()
