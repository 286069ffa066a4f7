"""Slices: found, read, split, and handed out in batches."""

from ctgan_utils.data.slices import Batches, CTImages, split
from ctgan_utils.data.sources import CT_KIDNEY, MEDNIST, load, load_folder, load_phantom

__all__ = ["CT_KIDNEY", "MEDNIST", "Batches", "CTImages", "load", "load_folder", "load_phantom", "split"]
