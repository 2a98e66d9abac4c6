"""`chat-zero` is for a GPU: without one nothing starts, and one sentence says so."""

import pytest

from evolvent.errors import UsageError
from evolvent.preflight import devices
from evolvent.recipe.load import load_recipe


def test_without_a_gpu_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "num_gpus", lambda: 0)
    with pytest.raises(UsageError, match="device = cuda: there is no GPU on this machine"):
        devices.check_devices(load_recipe("chat-zero"))
    monkeypatch.setattr(devices, "num_gpus", lambda: 1)
    devices.check_devices(load_recipe("chat-zero"))
    assert "on a GPU" in load_recipe("chat-zero").description
