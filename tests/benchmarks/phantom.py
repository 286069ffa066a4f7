"""The built-in phantom: how fast it is drawn, how like a folder of real slices it is, and whether its classes
can be learnt from single slices.

    python tests/benchmarks/phantom.py [DIR]

Minutes on two cores. Chance is 25 %, and what a network must reach when labels say nothing of the patient.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ctgan_utils import data, grey, metrics, phantom
from ctgan_utils.runtime import choose_precision

SLICES, SIZE, EPOCHS, BATCH = 12_000, 64, 10, 64
HAS_BF16 = choose_precision("auto", torch.device("cpu")) == torch.bfloat16


def drawing():
    """Slices per second, the first call of a size apart: it makes the system matrix."""
    for size, n in ((64, 800), (128, 300), (256, 60)):
        phantom.generate(1, size)
        rates = []
        for workers in (1, 2):
            begun = time.perf_counter()
            phantom.generate(n, size, workers=workers)
            rates.append(n / (time.perf_counter() - begun))
        print(f"{size:3}x{size:<3}  {rates[0]:5.0f} slices/s, two workers {rates[1]:5.0f}", flush=True)
        if size == 128:
            print(f"         4,000 slices: {4_000 / rates[1]:.0f} s", flush=True)


def likeness(folder, size=128, n=1_500):
    """Power spectrum and grey levels against real slices."""
    real, drawn = data.load_folder(folder, size), data.load_phantom(n, size)
    frequency, ours = metrics.radial_power_spectrum(drawn.images[:, 0].numpy())
    gap = 10 * np.log10(ours / metrics.radial_power_spectrum(real.images[:, 0].numpy())[1])
    worst = np.abs(gap[(frequency > 0) & (frequency <= 0.25)]).max()
    print(f"{len(drawn):,} phantoms against {real.source}, {size}x{size}:")
    print(f"  spectra differ by {worst:.1f} dB at most up to half the Nyquist frequency, ", end="")
    print(f"by {np.abs(gap[1:]).max():.1f} dB up to all of it")
    apart = metrics.grey_level_distance(drawn.images.numpy(), real.images.numpy())
    print(f"  earth mover's distance of grey levels: {apart:.2f}", flush=True)


def classifier(width=24):
    """Four blocks of convolution; the maximum over the image, since a lesion is small and anywhere."""

    def block(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())

    pool, w = nn.MaxPool2d(2), width
    blocks = block(1, w), pool, block(w, 2 * w), pool, block(2 * w, 4 * w), pool, block(4 * w, 8 * w)
    head = nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * w, 4)
    return nn.Sequential(*blocks, *head).to(memory_format=torch.channels_last)


def augment(x):
    """Mirrored, turned by up to 10 degrees, scaled by up to a fifth, moved, brighter or darker."""
    n, turn, scale = len(x), 0.35 * (torch.rand(len(x)) - 0.5), torch.exp(0.4 * (torch.rand(len(x)) - 0.5))
    cos, sin, mirror = scale * turn.cos(), scale * turn.sin(), torch.rand(n).sub(0.5).sign()
    move = 0.2 * (torch.rand(n, 2) - 0.5)
    rows = torch.stack([cos * mirror, -sin, move[:, 0], sin * mirror, cos, move[:, 1]], 1)
    where = functional.affine_grid(rows.view(n, 2, 3), x.shape, align_corners=False)
    x = functional.grid_sample(x, where, padding_mode="border", align_corners=False)
    gain, bias = 0.2 * (torch.rand(2, n, 1, 1, 1) - 0.5)
    return x * (1 + gain) + bias


def logits(network, images):
    x = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
        return network(x).float()


def fit(train):
    """Trains a classifier on slices drawn evenly from the classes."""
    torch.manual_seed(0)
    network, steps = classifier(), EPOCHS * len(train) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    weights = (1 / train.labels.bincount(minlength=4))[train.labels]
    for _ in range(steps):
        index = torch.multinomial(weights, BATCH, replacement=True)
        x = augment(grey.to_float(train.images[index]))
        loss = functional.cross_entropy(logits(network, x), train.labels[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def confusion(network, test):
    """Counts [truth, answer]; each slice is seen as it is and mirrored."""
    batches = [grey.to_float(x) for x in test.images.split(256)]
    answers = torch.cat([(logits(network, x) + logits(network, x.flip(3))).argmax(1) for x in batches])
    return (4 * test.labels + answers).bincount(minlength=16).view(4, 4)


def shuffled(ct, seed=0):
    """The same slices, the classes dealt anew among the patients."""
    patients, number = ct.groups.unique(return_inverse=True)
    labels = torch.zeros_like(patients).scatter(0, number, ct.labels)
    order = torch.randperm(len(patients), generator=torch.Generator().manual_seed(seed))
    return replace(ct, labels=labels[order][number])


def learning():
    ct = data.load_phantom(SLICES, SIZE)
    for name, labelled in (("true classes", ct), ("classes shuffled among patients", shuffled(ct))):
        begun = time.perf_counter()
        train, test = data.split(labelled, 0.2)
        counts = confusion(fit(train), test)
        recall = counts.diag() / counts.sum(1)
        each = ", ".join(f"{c} {r:.0%}" for c, r in zip(ct.classes, recall))
        patients = len(train.groups.unique()), len(test.groups.unique())
        print(f"{name}: balanced accuracy {recall.mean():.1%} ({each})")
        print(f"  trained on {patients[0]} patients, tested on {patients[1]}", end="; ")
        print(f"{time.perf_counter() - begun:.0f} s; truth by answer {counts.tolist()}", flush=True)


if __name__ == "__main__":
    drawing()
    if len(sys.argv) > 1:
        likeness(sys.argv[1])
    learning()
