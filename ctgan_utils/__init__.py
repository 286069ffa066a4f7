"""Generative adversarial networks for CT (computed tomography) images, as a course."""

import os

__version__ = "0.2.0"

# What PyTorch can't do on an Apple GPU runs on the CPU, with one warning of PyTorch's own for each operation.
# It reads this when it is imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
