"""The loop's speed on a GPU: ResNeXt-101 32x8d at 256 pixels in bf16. Needs CUDA.

    python bench/gpu_training.py [--images 8192] [--steps 60]

Prints, all of one run on one GPU:
  1. whole loop with data / the bare network's forward and backward on resident tensors (0.95);
  2. TABE, joint, images a second (over 1,000);
  3. ERM's whole loop against a plain fp32, two-pass loop that decodes JPEGs in a DataLoader (8 x,
     of TABE's images a second).
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from equiderm.models import create_backbone
from equiderm.training import ArrayImages, experiment_from, fit

SIZE, BATCH = 256, 64


class Enough(Exception):
    """Raised by a watcher that has seen its steps."""


def loop_rate(method, images, frame, *, steps, compiled):
    """Return images a second of the whole loop, data included, after the first 20 steps."""
    experiment = experiment_from(
        {
            "method": {"name": method, **({} if method == "erm" else {"schedule": "joint"})},
            "backbone": {"name": "resnext101", "weights": "random"},
            "data": {"size": SIZE},
            "training": {
                "epochs": 1000,
                "tracker": "none",
                "compile": compiled,
                "precision": "bf16",
                "checkpoint_steps": 10**9,
            },
        }
    )
    started = 0.0

    def watch(progress):
        nonlocal started
        if progress.step == 20:
            torch.cuda.synchronize()
            started = time.perf_counter()
        if progress.step == 20 + steps:
            torch.cuda.synchronize()
            raise Enough

    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(experiment, frame, Path(folder) / "run", images=images, watch=watch)
        except Enough:
            return steps * BATCH / (time.perf_counter() - started)
    raise RuntimeError("too few images for that many steps")


def bare_rate(*, steps, compiled):
    """Return images a second of forward and backward alone, on one resident batch."""
    module = create_backbone("resnext101", "random").module.cuda()
    module = module.to(memory_format=torch.channels_last)  # pyright: ignore
    if compiled:
        module.compile()
    image = torch.randn(BATCH, 3, SIZE, SIZE, device="cuda")
    image = image.contiguous(memory_format=torch.channels_last)
    for step in range(20 + steps):
        if step == 20:
            torch.cuda.synchronize()
            started = time.perf_counter()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = module(image).float().square().mean()
        module.zero_grad()
        loss.backward()
    torch.cuda.synchronize()
    return steps * BATCH / (time.perf_counter() - started)


class Jpegs(torch.utils.data.Dataset):
    """JPEGs in memory, decoded, resized and normalised by a worker, one by one."""

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
        """Return one picture, float32, (3, SIZE, SIZE)."""
        from PIL import Image

        image = np.asarray(Image.open(io.BytesIO(self.files[index])), np.float32) / 255
        image = (image - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))


def plain_rate(images, *, steps, workers):
    """Return images a second of a plain loop: fp32, two passes a step, JPEGs, losses read twice."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    made = create_backbone("resnext101", "random")
    backbone = made.module.cuda()
    target_head = torch.nn.Linear(made.n_features, 1).cuda()
    group_head = torch.nn.Linear(made.n_features, 6).cuda()
    parameters = [*backbone.parameters(), *target_head.parameters()]
    main = torch.optim.SGD(parameters, 3e-4, momentum=0.9, foreach=False)
    group = torch.optim.SGD(group_head.parameters(), 3e-3, momentum=0.9, foreach=False)
    loader = torch.utils.data.DataLoader(
        Jpegs(images), BATCH, shuffle=True, num_workers=workers, drop_last=True
    )
    done, started = 0, 0.0
    while True:
        for batch in loader:
            image = batch.cuda()
            target = torch.randint(0, 2, (BATCH, 1), device="cuda").float()
            index = torch.randint(0, 6, (BATCH,), device="cuda")
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
            done += 1
            if done == 5:
                torch.cuda.synchronize()
                started = time.perf_counter()
            if done == 5 + steps:
                torch.cuda.synchronize()
                return steps * BATCH / (time.perf_counter() - started)


def main():
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--plain-steps", type=int, default=15)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: nothing measured")
        return
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (args.images, SIZE, SIZE, 3), dtype=np.uint8)
    frame = pd.DataFrame(
        {
            "image_id": [str(n) for n in range(args.images)],
            "target": generator.integers(0, 2, args.images),
            "split": "train",
            "fitzpatrick_type": generator.integers(1, 7, args.images),
        }
    )
    store = ArrayImages(images, frame["image_id"].tolist())
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "compile", args.compile)
    bare = bare_rate(steps=args.steps, compiled=args.compile)
    erm = loop_rate("erm", store, frame, steps=args.steps, compiled=args.compile)
    tabe = loop_rate("tabe", store, frame, steps=args.steps, compiled=args.compile)
    plain = plain_rate(images[:2048], steps=args.plain_steps, workers=args.workers)
    print(f"bare network {bare:.0f} images/s; ERM's loop {erm:.0f}: {erm / bare:.3f} of it")
    print(f"TABE's loop {tabe:.0f} images/s")
    print(f"plain two-pass fp32 JPEG loop {plain:.0f} images/s: TABE's is {tabe / plain:.1f} x")


if __name__ == "__main__":
    main()
