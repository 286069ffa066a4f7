"""Loading slices, against torchvision's ImageFolder and DataLoader with the same resize, in one run.

    python tests/benchmarks/loading.py [DIR]

Without a folder of slices, 600 phantoms of 256x256 pixels are written as JPEG first.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ctgan_utils import data, phantom

BATCH = 64


def seconds(action):
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def write_phantoms(folder):
    drawn = phantom.generate(600, 256)
    for k, (image, number) in enumerate(zip(drawn.images, drawn.classes)):
        path = folder / phantom.CLASSES[number] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=90)


def compare(folder, size=64):
    first, _ = seconds(lambda: data.load_folder(folder, size))
    second, ct = seconds(lambda: data.load_folder(folder, size))
    steps = [
        transforms.Grayscale(),
        transforms.Resize((size, size), transforms.InterpolationMode.LANCZOS),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
    start, files = seconds(lambda: ImageFolder(folder, transforms.Compose(steps)))
    loader = DataLoader(files, BATCH, shuffle=True, num_workers=os.cpu_count())
    slow = min(seconds(lambda: sum(len(x) for x, _ in loader))[0] for _ in range(2))
    batches, count = data.Batches(ct.images, BATCH, seed=0), -(-len(ct) // BATCH)
    fast = min(seconds(lambda: sum(len(batches[k]) for k in range(count)))[0] for _ in range(5))
    print(f"{len(ct):,} slices at {size}x{size}")
    print(f"  start: first {first:.2f} s, second {second:.2f} s; ImageFolder {start:.2f} s, it decodes later")
    print(f"  epoch: ours {fast * 1e3:.0f} ms, ImageFolder {slow:.2f} s: {slow / fast:.0f} x")
    print(f"  first start and an epoch, against one epoch of ImageFolder: {slow / (first + fast):.1f} x")


def many_tiny_files(folder, n=50_000):
    rng = np.random.default_rng(0)
    (folder / "x").mkdir(parents=True)
    for k in range(n):
        Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / "x" / f"{k}.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, ct = seconds(lambda: data.load_folder(folder, 64))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    held = ct.images.numel() / 2**20
    print(f"{len(ct):,} tiny files: {took:.0f} s; peak memory +{grown:.0f} MiB, slices {held:.0f} MiB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CTGAN_CACHE"] = str(Path(temporary) / "cache")
        torch.manual_seed(0)
        slices = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "slices"
        if len(sys.argv) == 1:
            write_phantoms(slices)
        compare(slices)
        many_tiny_files(Path(temporary) / "tiny")
