"""Generative adversarial networks for CT (computed tomography) images, as a course."""

__version__ = "0.1.0"
