"""What a recipe may say of how turns are drawn."""

from typing import Annotated

from pydantic import Field

TopP = Annotated[float, Field(gt=0, le=1)]
"""The fewest tokens that make up this share are left to draw from."""

TopK = Annotated[int, Field(ge=0)]
"""So many of the likeliest tokens are left to draw from; 0 leaves all."""

Stop = tuple[Annotated[str, Field(min_length=1)], ...]
"""Texts that end a turn; they are not part of its text."""
