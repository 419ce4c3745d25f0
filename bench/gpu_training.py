"""The loop's speed: ResNeXt-101 32x8d at 256 pixels in bf16 on a GPU, or any toy on a CPU.

    python bench/gpu_training.py [--images 8192] [--steps 60]
    python bench/gpu_training.py --backbone test_resnet --size 32 --batch 8 --images 64 --steps 4 \
        --device cpu --workers 0

Prints the device and, all of one run on it:
  1. whole loop with data / the bare network's forward and backward on resident tensors (0.95);
  2. TABE, joint and alternating, images a second (joint on an H200: over 1,000);
  3. TABE, joint / a plain fp32, two-pass loop that decodes JPEGs in a DataLoader (8).
The goals in brackets are for ResNeXt-101 on a GPU; figures of another device say nothing of them.
On a CPU the loop and the bare network are fp32: bf16 is emulated on most.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from equiderm.models import create_backbone
from equiderm.training import ArrayImages, experiment_from, fit


class Enough(Exception):
    """Raised by a watcher that has seen its steps."""


def now(device):
    """Return the time in seconds, once the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def loop_rate(method, images, frame, args):
    """Return images a second of the whole loop, data included, after the warm-up."""
    training = {"epochs": 100_000, "batch_size": args.batch, "precision": "auto"}
    training |= {"tracker": "none", "compile": args.compile, "checkpoint_steps": 10**9}
    experiment = experiment_from(
        {
            "method": method,
            "backbone": {"name": args.backbone, "weights": "random"},
            "data": {"size": args.size},
            "training": training,
        }
    )
    started = 0.0

    def watch(progress):
        nonlocal started
        if progress.step == args.warmup:
            started = now(args.device)
        if progress.step == args.warmup + args.steps:
            raise Enough

    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(experiment, frame, Path(folder) / "run", images=images, watch=watch)
        except Enough:
            return args.steps * args.batch / (now(args.device) - started)
    raise RuntimeError("too few images for that many steps")


def bare_rate(args):
    """Return images a second of forward and backward alone, on one resident batch."""
    module = create_backbone(args.backbone, "random").module.to(args.device)
    module = module.to(memory_format=torch.channels_last)  # pyright: ignore
    if args.compile:
        module.compile()
    image = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    image = image.contiguous(memory_format=torch.channels_last)
    started = 0.0
    for step in range(args.warmup + args.steps):
        if step == args.warmup:
            started = now(args.device)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda"):
            loss = module(image).float().square().mean()
        module.zero_grad()
        loss.backward()
    return args.steps * args.batch / (now(args.device) - started)


class Jpegs(torch.utils.data.Dataset):
    """JPEGs in memory, decoded and normalised by a worker, one by one."""

    def __init__(self, images):
        from PIL import Image

        self.files = []
        for image in images:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=95)
            self.files.append(buffer.getvalue())

    def __len__(self):
        """Return the number of pictures."""
        return len(self.files)

    def __getitem__(self, index):
        """Return one picture, float32, (3, size, size)."""
        from PIL import Image

        image = np.asarray(Image.open(io.BytesIO(self.files[index])), np.float32) / 255
        image = (image - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))


def plain_steps(args):
    """Return a function that makes a plain step: fp32, two passes, each loss read at once."""
    made = create_backbone(args.backbone, "random")
    backbone = made.module.to(args.device)
    target_head = torch.nn.Linear(made.n_features, 1).to(args.device)
    group_head = torch.nn.Linear(made.n_features, 6).to(args.device)
    parameters = [*backbone.parameters(), *target_head.parameters()]
    main = torch.optim.SGD(parameters, 3e-4, momentum=0.9, foreach=False)
    group = torch.optim.SGD(group_head.parameters(), 3e-3, momentum=0.9, foreach=False)

    def step(image):
        target = torch.randint(0, 2, (args.batch, 1), device=args.device).float()
        index = torch.randint(0, 6, (args.batch,), device=args.device)
        features = backbone(image)
        loss = functional.binary_cross_entropy_with_logits(target_head(features), target)
        loss = loss - 0.03 * group_head(features).log_softmax(1).mean(1).mean()
        main.zero_grad()
        loss.backward()
        main.step()
        loss.item()
        group_loss = functional.cross_entropy(group_head(backbone(image)), index)
        main.zero_grad()
        group.zero_grad()
        group_loss.backward()
        main.step()
        group.step()
        group_loss.item()

    return step


def plain_rate(images, args):
    """Return images a second of the plain loop, JPEGs decoded by a DataLoader's workers."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    step = plain_steps(args)
    loader = torch.utils.data.DataLoader(
        Jpegs(images), args.batch, shuffle=True, num_workers=args.workers, drop_last=True
    )
    done, started, warmup = 0, 0.0, min(args.warmup, 5)
    while True:
        for image in loader:
            step(image.to(args.device))
            done += 1
            if done == warmup:
                started = now(args.device)
            if done == warmup + args.plain_steps:
                return args.plain_steps * args.batch / (now(args.device) - started)


def parse(arguments):
    """Return the settings of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnext101")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--warmup", type=int, default=20, help="steps before the clock starts")
    parser.add_argument("--plain-steps", type=int, default=15)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: a GPU where one is")
    args = parser.parse_args(arguments)
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the loop takes a GPU wherever it sees one
    there = torch.cuda.is_available()
    if args.device == "cuda" and not there:
        parser.error("no GPU here; --device cpu with a small --backbone runs anywhere")
    if args.device is None and not there and args.backbone == parser.get_default("backbone"):
        print("no GPU here: nothing measured; --device cpu with a small --backbone runs anywhere")
        raise SystemExit
    if args.images < args.batch or args.warmup < 1:
        parser.error("--images is at least --batch, and --warmup at least 1")
    args.device = args.device or ("cuda" if there else "cpu")
    return args


def main(arguments=None):
    """Print the three figures."""
    args = parse(arguments)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (args.images, args.size, args.size, 3), dtype=np.uint8)
    frame = pd.DataFrame(
        {
            "image_id": [str(n) for n in range(args.images)],
            "target": generator.integers(0, 2, args.images),
            "split": "train",
            "fitzpatrick_type": generator.integers(1, 7, args.images),
        }
    )
    store = ArrayImages(images, frame["image_id"].tolist())
    device = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    print(f"{device}, torch {torch.__version__}, compile {args.compile}: {args.backbone}, "
          f"{args.size} px, batch {args.batch}")  # fmt: skip
    bare = bare_rate(args)
    erm = loop_rate({"name": "erm"}, store, frame, args)
    joint, twice = (
        loop_rate({"name": "tabe", "schedule": schedule}, store, frame, args)
        for schedule in ("joint", "alternating")
    )
    plain = plain_rate(images[:2048], args)
    print(f"bare network {bare:.0f} images/s; ERM's loop {erm:.0f}: {erm / bare:.3f} of it")
    print(f"TABE's loop, joint {joint:.0f} images/s, alternating {twice:.0f}")
    print(f"plain two-pass fp32 JPEG loop {plain:.0f} images/s: TABE's is {joint / plain:.1f} x")


if __name__ == "__main__":
    main()
