"""An own model brings its tokenizer.json; where its kind or class is qwen2, loading rebuilds the
tokenizer by rules of its own, and version 0 encodes otherwise than the model has learned."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cases._case import FAULT, HOLDS, run_case

TEXTS = ("r12345>", "Hello world, r54>", " leading", "a  b\n c", "I'm 2024!", "naïve é", "x</s>y")
CORPUS = ["reverse the word hello world and 12345 67890 it's fine naïve"] * 50
CLASSES = (None, "LlamaTokenizerFast", "PreTrainedTokenizerFast", "Qwen2Tokenizer")


def tokenizers() -> Iterator[tuple[str, Any]]:
    """Ordinary byte-level tokenizers that differ in what happens before the merges."""
    from tokenizers import Tokenizer, decoders, models, processors, trainers
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    def made(before: Any) -> Any:
        one = Tokenizer(models.BPE())
        one.pre_tokenizer, one.decoder = before, decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=330, special_tokens=["<pad>", "</s>"], initial_alphabet=ByteLevel.alphabet()
        )
        one.train_from_iterator(CORPUS, trainer)
        return one

    plain = ByteLevel(add_prefix_space=False)
    yield "plain", made(plain)
    yield "single digits", made(Sequence([Digits(individual_digits=True), plain]))
    yield "space before", made(ByteLevel(add_prefix_space=True))
    begun = made(plain)
    begun.post_processor = processors.TemplateProcessing(
        single="<pad> $A", special_tokens=[("<pad>", 0)]
    )
    yield "begin token", begun


def case(folder: Path) -> tuple[int, str]:
    from tokenizers import Tokenizer
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM
    from transformers.utils import logging

    from tests.cases._names import UsageError
    from tests.cases._torch_names import load_model

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    fields = dict(
        vocab_size=600, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, eos_token_id=1,
        bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    wrong, tried = [], 0
    for kind in ("llama", "qwen2"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**fields))
        for name, tokenizer in tokenizers():
            for named in CLASSES:
                own, out = folder / f"{kind}-{name}-{named}", folder / "out"
                model.save_pretrained(own)
                tokenizer.save(str(own / "tokenizer.json"))
                told = {"eos_token": "</s>", "pad_token": "<pad>", "model_max_length": 64}
                told |= {"tokenizer_class": named} if named else {}
                (own / "tokenizer_config.json").write_text(json.dumps(told))
                tried += 1
                try:
                    load_model(own)[1].save_pretrained(out)
                except UsageError:
                    continue  # refused with a sentence
                kept = Tokenizer.from_file(str(out / "tokenizer.json"))
                if any(tokenizer.encode(text).ids != kept.encode(text).ids for text in TEXTS):
                    wrong.append(f"{kind} with {named}, {name}")
    said = f"{len(wrong)} of {tried} folders encode otherwise in version 0; {wrong[:3]}"
    return (FAULT if wrong else HOLDS), said


if __name__ == "__main__":
    run_case(case)
