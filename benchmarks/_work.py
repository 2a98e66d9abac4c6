"""The work that every engine is given: a random model that never ends an answer, and prompts in
groups, so that all make as many tokens. Knows no engine."""

from pathlib import Path
from random import Random

from agents.engines.engine import Request
from trainer.alphabet import CHARACTERS, FULL
from trainer.config import ModelConfig
from trainer.seed_model import make_model, make_tokenizer, save_model

GROUP, LENGTH = 8, 11

Checkpoint = tuple[Path, dict[str, str]]


def make_checkpoint(folder: Path, seed: int) -> Checkpoint:
    """A random model that never ends an answer, so that every engine makes as many tokens."""
    model = make_model(ModelConfig(), seed=seed)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    files = save_model(model, make_tokenizer(FULL), folder)
    # It names an end token too.
    (folder / "tokenizer_config.json").unlink()
    del files["tokenizer_config.json"]
    return folder, files


def make_requests(num_rows: int, num_new: int) -> list[Request]:
    """`num_rows` samples in groups of 8, `num_new` tokens each."""
    random = Random(0)
    letters = CHARACTERS[15:41]
    tokenizer = make_tokenizer(FULL)
    texts = [
        "r" + "".join(random.choices(letters, k=LENGTH - 2)) + ">" for _ in range(num_rows // GROUP)
    ]
    return [
        Request(prompt_tokens=tuple(tokenizer(text).input_ids), n=GROUP, max_tokens=num_new)
        for text in texts
    ]
