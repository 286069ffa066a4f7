"""Which slices look alike: near-duplicates and stacks, found by a perceptual hash."""

import numpy as np
import torch
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

BITS = 256
# Bits in which two hashes may differ. Neighbours in a stack 1 to 4 mm apart differ in up to 40, slices of
# different patients in 45 and more: measured on the phantom, where patients are known (notebook 01).
NEAR_DUPLICATE, SAME_STACK = 10, 40


def perceptual_hash(images: Tensor) -> np.ndarray:
    """bool [N, 256] of images uint8 [N, 1, H, W]: coarse appearance, whatever the size and the brightness.

    The 16x16 lowest frequencies of the discrete cosine transform of a 32x32 thumbnail, each compared with
    their median (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010).
    """
    parts = []
    for part in images.split(1024):
        thumbnails = adaptive_avg_pool2d(part.float(), 32)[:, 0].numpy()
        low = dctn(thumbnails, axes=(1, 2))[:, :16, :16].reshape(-1, BITS)
        parts.append(low > np.median(low[:, 1:], axis=1, keepdims=True))  # without the mean brightness
    return np.concatenate(parts)


def group(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Group number [N] of each hash: chains of hashes that differ in at most `distance` bits are one group.

    Groups are numbered in order of first appearance. Memory is bounded: 50,000 hashes take some 100 MB.
    """
    packed = np.packbits(hashes, axis=1)
    unique, inverse = np.unique(packed, axis=0, return_inverse=True)
    n = len(unique)
    signs = torch.from_numpy(np.unpackbits(unique, axis=1)).float() * 2 - 1
    labels = np.arange(n)
    for start in range(0, n, 512):
        equal_less_differing = signs[start : start + 512] @ signs.T
        alike = equal_less_differing >= BITS - 2 * distance
        rows, columns = (index.numpy() for index in alike.nonzero(as_tuple=True))
        first = np.unique(labels, return_index=True)[1]
        edges = np.append(rows + start, np.arange(n)), np.append(columns, first[labels])
        graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(n, n))
        labels = connected_components(graph, directed=False)[1]
    _, first, numbers = np.unique(labels[inverse.ravel()], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers]


def nearest(test: Tensor, train: Tensor) -> Tensor:
    """Root mean square grey-level difference of each test image to its nearest training image, [N].

    test and train are uint8 [N, 1, H, W] and [M, 1, H, W].
    """
    a, b = test.flatten(1).float(), train.flatten(1).float()
    return torch.cat([torch.cdist(part, b).min(1).values for part in a.split(512)]) / a.shape[1] ** 0.5
