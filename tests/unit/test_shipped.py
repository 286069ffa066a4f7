"""The generators that come with the course, and how they came about."""

import pytest

from ctgan_utils.runtime import SHIPPED, UserError
from ctgan_utils.sampling import load_shipped, shipped_history
from ctgan_utils.training.checkpoints import read_metadata


def test_shipped_generators_are_found_by_name():
    assert load_shipped("large-v1")[1].image_size == 128
    with pytest.raises(UserError, match="did you mean small"):
        load_shipped("smal")


def test_shipped_histories_end_where_their_generators_were_saved():
    histories = sorted(SHIPPED.glob("*.jsonl"))
    assert histories
    for path in histories:
        name = path.stem.removesuffix("-phantom")
        history, (_, system) = shipped_history(name), load_shipped(name)
        assert history[-1]["step"] == read_metadata(path.with_suffix(".safetensors"))["step"]
        per_step = system.critic_steps * system.batch_size
        assert all(row["images"] == row["step"] * per_step for row in history)
    with pytest.raises(UserError, match="no history of that name is shipped; did you mean ct-64"):
        shipped_history("ct-6")
