"""One synchronous `GRPOTrainer` of TRL on words that a file holds, until its greedy held-out
accuracy has come to a bar. Knows nothing of evolvent.

    python _trl_grpo.py CHECKPOINT WORK.json SETTING.json

Prints a JSON object a line: `{"seconds", "cpu_seconds", "held_out", "updates"}`, where the seconds
of its own measuring are left out.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Clock:
    """Wall and processor time, but for what is left out."""

    def __init__(self) -> None:
        self._started = (time.monotonic(), time.process_time())
        self._left_out = [0.0, 0.0]

    def read(self) -> tuple[float, float]:
        now = (time.monotonic(), time.process_time())
        spent = zip(now, self._started, self._left_out, strict=True)
        wall, cpu = (end - start - out for end, start, out in spent)
        return wall, cpu

    def leave_out(self, since: tuple[float, float]) -> None:
        for place, (now, before) in enumerate(zip(self.read(), since, strict=True)):
            self._left_out[place] += now - before


class Measures(TrainerCallback):  # type: ignore[misc]
    """Says where the model stands every `every` updates, and ends at `bar` or after `seconds`."""

    def __init__(self, work: dict[str, Any], tokenizer: Any, setting: dict[str, Any]) -> None:
        self._suites = work["held_out"]
        self._tokenizer = tokenizer
        self._setting = setting
        self.clock = Clock()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **more: Any) -> None:
        if state.global_step % self._setting["every"]:
            return
        before = self.clock.read()
        held_out = self._held_out(model)
        self.clock.leave_out(before)
        seconds, cpu_seconds = self.clock.read()
        said = {"seconds": seconds, "cpu_seconds": cpu_seconds, "held_out": held_out}
        print(json.dumps({**said, "updates": state.global_step}), flush=True)
        if held_out >= self._setting["bar"] or seconds > self._setting["seconds"]:
            control.should_training_stop = True

    @torch.no_grad()
    def _held_out(self, model: Any) -> float:
        shares: list[float] = []
        for suite in self._suites:
            read = self._tokenizer([one["prompt"] for one in suite], return_tensors="pt")
            made = model.generate(
                **read,
                max_new_tokens=self._setting["max_tokens"],
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
            said = self._tokenizer.batch_decode(
                made[:, read.input_ids.shape[1] :], skip_special_tokens=True
            )
            right = [text == one["answer"] for text, one in zip(said, suite, strict=True)]
            shares.append(sum(right) / len(right))
        return float(sum(shares) / len(shares))


def optimizer_of(model: Any, setting: dict[str, Any]) -> torch.optim.Optimizer | None:
    """None for TRL's own AdamW."""
    if setting["optimizer"] == "adamw":
        return None
    named = list(model.named_parameters())
    hidden = [value for name, value in named if value.ndim == 2 and ".layers." in name]
    chosen = {id(value) for value in hidden}
    rest = [value for _, value in named if id(value) not in chosen]
    return Both(
        torch.optim.Muon(hidden, lr=setting["muon_lr"], weight_decay=0.0),
        torch.optim.AdamW(rest, lr=setting["adamw_lr"], betas=(0.9, 0.98), weight_decay=0.0),
    )


class Both(torch.optim.Optimizer):
    """Two optimisers that step together."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        super().__init__([group for each in optimizers for group in each.param_groups], {})
        # The very groups of each: a schedule that sets a rate sets theirs.
        self.param_groups = [group for each in optimizers for group in each.param_groups]
        self.optimizers = optimizers

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for each in self.optimizers:
            each.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for each in self.optimizers:
            each.zero_grad(set_to_none)


def main() -> None:
    checkpoint, work_file, setting_file = map(Path, sys.argv[1:4])
    work, setting = json.loads(work_file.read_text()), json.loads(setting_file.read_text())
    torch.manual_seed(setting["seed"])
    torch.set_num_threads(setting["threads"])
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")

    def words() -> Iterator[dict[str, Any]]:
        # Sorted ones come from the shortest on, as a curriculum would ask them.
        by_length = sorted(work["words"], key=lambda word: int(word["level"]))
        yield from by_length if setting["sorted"] else work["words"]

    def right(completions: list[str], answer: list[str], **more: Any) -> list[float]:
        return [float(said == wanted) for said, wanted in zip(completions, answer, strict=True)]

    measures = Measures(work, tokenizer, setting)
    samples = setting["samples"]
    config = GRPOConfig(
        output_dir=str(work_file.parent / "trl"),
        per_device_train_batch_size=setting["tasks"] * samples,
        num_generations=samples,
        max_completion_length=setting["max_tokens"],
        temperature=1.0,
        top_k=0,
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        learning_rate=setting["adamw_lr"],
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        max_steps=1_000_000,
        shuffle_dataset=not setting["sorted"],
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1_000_000,
        report_to=[],
        disable_tqdm=True,
        seed=setting["seed"],
        dataloader_num_workers=0,
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=right,
        args=config,
        train_dataset=Dataset.from_list(list(words())),
        processing_class=tokenizer,
        callbacks=[measures],
        optimizers=(optimizer_of(model, setting), None),
    )
    measures.clock = Clock()
    trainer.train()


if __name__ == "__main__":
    main()
