"""What OpenAI's API is asked, as far as an engine can answer it; what it cannot is refused by name.
Knows no network.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agents.engines.engine import Message

MAX_CHOICES = 128
_SHOWN_CHARACTERS = 80


class Wrong(Exception):
    """A request that is not answered: why, what of it, and the status and code that say so."""

    def __init__(
        self,
        sentence: str,
        param: str | None = None,
        *,
        status: int = 400,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(sentence)
        self.param = param
        self.status = status
        self.code = code
        self.kind = kind


_IGNORED = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
    | {"parallel_tool_calls", "prompt_cache_retention"}
)
"""What changes no answer here."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "suffix": ("",),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "top_logprobs": (0,),
}


def _texts(value: object) -> tuple[str, ...]:
    """One text or several."""
    value = [value] if isinstance(value, str) else value
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError("give a text, or a list of texts that are not empty")
    return tuple(value)


def _prompts(value: object) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, tokens, or lists of tokens."""
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token(value[0])):
        value = [value]
    if isinstance(value, list) and value:
        found = [_prompt(each) for each in value]
        if None not in found:
            return tuple(each for each in found if each is not None)
    raise ValueError("give a text, a list of texts, a list of tokens or a list of such lists")


def _prompt(value: object) -> str | tuple[int, ...] | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_token(each) for each in value):
        return tuple(value)
    return None


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _content(value: object) -> str:
    """A text, or the parts of one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
            for part in value
        ]
        if all(isinstance(part, str) for part in parts):
            return "".join(map(str, parts))
    raise ValueError("only text can be read here")


class StreamOptions(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    include_usage: bool = False


class Asked(BaseModel):
    """What both kinds of request have."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    model: str = Field(min_length=1, max_length=200)
    max_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Annotated[tuple[str, ...], BeforeValidator(_texts), Field(max_length=16)] = ()
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises `Wrong`."""
        try:
            asked = cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"][:3]))
            said = f"{place}: {first['msg']}" if place else first["msg"]
            raise Wrong(said, str(first["loc"][0]) if place else None) from None
        for name, value in (asked.model_extra or {}).items():
            neutral = value in _NEUTRAL.get(name, ()) or value in (None, False, [], {})
            if name not in _IGNORED and not neutral:
                shown = name[:_SHOWN_CHARACTERS]
                raise Wrong(f"{shown} is not supported here: leave it out", shown)
        return asked

    @property
    def seed_of_engine(self) -> int | None:
        """Engines take no negative seed."""
        return None if self.seed is None else self.seed % 2**63

    @property
    def num_tokens(self) -> int | None:
        """How many at most, where it is said."""
        return self.max_tokens

    @property
    def wants_logprobs(self) -> bool:
        raise NotImplementedError


class AskedCompletion(Asked):
    """Text that goes on. Of the log-probabilities there are those of the tokens drawn."""

    prompt: Annotated[tuple[str | tuple[int, ...], ...], BeforeValidator(_prompts)]
    logprobs: int | None = Field(default=None, ge=0, le=1)

    @property
    def wants_logprobs(self) -> bool:
        return self.logprobs is not None


class AskedMessage(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_content)]


class AskedChat(Asked):
    """A conversation that the model is to answer."""

    messages: Annotated[list[AskedMessage], Field(min_length=1)]
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None

    @property
    def num_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.logprobs)

    @property
    def conversation(self) -> tuple[Message, ...]:
        return tuple(
            Message(
                role="system" if message.role == "developer" else message.role,
                text=message.content,
            )
            for message in self.messages
        )
