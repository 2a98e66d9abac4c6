"""Which filters there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from trainer.filters.band import BandConfig
from trainer.filters.everything import AllConfig
from trainer.filters.length import LengthConfig

FilterConfig = Annotated[AllConfig | BandConfig | LengthConfig, Field(discriminator="type")]
