"""Where a model computes: what a recipe names, on this machine. Loads torch only to ask it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> "torch.device":
    """`auto` is the first GPU where there is one. Raises `ValueError` for one that is not there."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if count else "cpu")
    if not is_there(name, count):
        raise ValueError(missing(name, count))
    return torch.device(name)


def is_there(name: str, count: int) -> bool:
    """Whether a device is there on a machine of `count` GPUs."""
    kind, _, number = name.partition(":")
    return kind != "cuda" or int(number or 0) < count


def missing(name: str, count: int) -> str:
    """What to say of a GPU that is not among `count`."""
    if not count:
        return f"device = {name}: there is no GPU on this machine; choose auto or cpu"
    last = "" if count == 1 else f" to cuda:{count - 1}"
    return f"device = {name}: torch sees cuda:0{last} on this machine; choose of these, auto or cpu"
