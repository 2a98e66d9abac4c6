"""What `evolvent doctor --gpu` says of the GPUs that torch sees, or of none."""

import json
from pathlib import Path

import pytest

from evolvent.doctor import Finding, diagnose
from evolvent.preflight import gpus
from evolvent.preflight.gpus import Seen, gpus_here, read, told, would_run

GIB = 1 << 30
LARGE = ["NVIDIA H200", 138 * GIB, 140 * GIB, True]
OLD = ["Tesla T4", 2 * GIB, 15 * GIB, False]


def said(*found: list[object], cuda: str | None = "13.0") -> str:
    return "a warning\n" + json.dumps({"torch": "2.13.0", "cuda": cuda, "gpus": found}) + "\n"


def of_gpus(monkeypatch: pytest.MonkeyPatch, seen: Seen | None) -> list[Finding]:
    monkeypatch.setattr(gpus, "gpus_here", lambda: seen)
    names = ("GPU", "torch and GPU", "cuda:", "runs there")
    return [one for one in diagnose(Path(), gpu=True) if one.name.startswith(names)]


def test_every_gpu_is_told_and_what_would_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, first, second, runs = of_gpus(monkeypatch, read(said(LARGE, OLD)))
    assert torch.well and torch.found == "torch 2.13.0, CUDA 13.0"
    assert first.found == "NVIDIA H200, 138.0 of 140.0 GiB free, bf16"
    assert second.found == "Tesla T4, 2.0 of 15.0 GiB free, no bf16"
    assert "of about 5.8 billion parameters, by LoRA 17.4" in runs.found
    # Less than what a step keeps: nothing fits, and nothing is below that.
    assert "0.0 billion" in would_run(read(said(OLD)).gpus)


def test_a_torch_that_sees_none_of_them_is_amiss(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = of_gpus(monkeypatch, read(said(cuda=None)))
    assert not found.well and found.found == "torch 2.13.0, built without CUDA"


def test_a_machine_without_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = of_gpus(monkeypatch, None)
    assert not found.well and found.needed and "all runs on the CPU" in found.advice
    assert not [one for one in diagnose(Path()) if "GPU" in one.name]


def test_a_torch_that_cannot_be_asked_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "may_have_gpu", lambda: True)
    monkeypatch.setattr(gpus, "_ASK", "raise ImportError('no torch')")
    seen = gpus_here()
    assert seen is not None and not seen.gpus and "no torch" in seen.torch


def test_torch_is_asked_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "may_have_gpu", lambda: True)
    seen = gpus_here()
    assert seen is not None and seen.torch.startswith("torch 2.")
    assert all(told(one) for one in seen.gpus)
