"""Slices: found, read, split, and handed out in batches."""

from ctgan_utils.data.slices import Batches, CTImages, split
from ctgan_utils.data.sources import at_hand, load, load_folder, load_phantom

__all__ = ["Batches", "CTImages", "at_hand", "load", "load_folder", "load_phantom", "split"]
