"""Where a model computes: what a recipe names, on this machine."""

import torch


def device_of(name: str) -> torch.device:
    """`auto` is the first GPU where there is one. Raises `ValueError` for one that is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(missing(name, count))
    return device


def missing(name: str, count: int) -> str:
    """What to say of a GPU that is not among `count`."""
    there = {0: "no GPU", 1: "one GPU, cuda:0"}.get(count, f"{count} GPUs, cuda:0 to {count - 1}")
    return f"device = {name}: torch sees {there} on this machine; choose another, auto or cpu"
