"""What all tests share: no network, no screen, a cache of their own, one thread a worker."""

import os
from pathlib import Path

import pytest
import torch

os.environ["CTGAN_HEADLESS"] = "1"
os.environ["MPLBACKEND"] = "agg"
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """One cache of decoded and drawn slices for the run, shared by the workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    os.environ["CTGAN_CACHE"] = str(folder / "cache")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    if not os.environ.get("CT_KIDNEY_DIR"):
        reason = "CT_KIDNEY_DIR names no folder of real slices"
        for item in items:
            if "real_data" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def real_folder():
    return Path(os.environ["CT_KIDNEY_DIR"])
