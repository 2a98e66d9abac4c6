"""Which programs a run's curves go to, and who is notified of what. Loads none of them."""

from importlib.util import find_spec
from typing import Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Target = Literal["tensorboard", "trackio", "wandb"]
Notice = Literal["started", "stalled", "restarting", "decision", "finished"]

_LIBRARIES: Final[dict[Target, str]] = {
    "tensorboard": "tensorboardX",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""What each needs; the extra bears the target's name."""


class CurvesConfig(BaseModel):
    """Every version's metrics and evaluations go `to` these programs too, under the name of a
    `project`, where the program has projects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: tuple[Target, ...] = ()
    project: str = Field(default="evolvent", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({*self.to}) < len(self.to):
            raise ValueError(f"to = {[*self.to]}: name each once")
        return self

    def missing(self) -> str | None:
        """The first that is not installed."""
        return next((one for one in self.to if find_spec(_LIBRARIES[one]) is None), None)


class NotifyConfig(BaseModel):
    """Whom to notify `on` what: a `command` gets the notice as JSON on its standard input, a `url`
    by POST. A run whose log has not grown for `stalled_seconds` has stalled."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    command: tuple[str, ...] = ()
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    on: tuple[Notice, ...] = get_args(Notice)
    stalled_seconds: float = Field(default=600.0, gt=0)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url and not (url.isprintable() and urlsplit(url).hostname):
            raise ValueError("url: write it as http://HOST:PORT/PATH")
        return url

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not command[0]:
            raise ValueError("command: its first word is the program")
        return command

    def __bool__(self) -> bool:
        return bool(self.command or self.url)
