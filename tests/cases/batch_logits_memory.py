"""One GRPO step holds the logits of the whole batch at once: memory grows with batch times length
times vocabulary. A vocabulary of 32,000 and the shipped GRPO batch would need 25 GiB."""

import subprocess
import sys
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, own_model, run_case, task, tiny_recipe

VOCAB, TOKENS, SAMPLES = 8_000, 32, 8


def step(folder: Path, tasks: int) -> None:
    """Print the peak memory of one step over its start, in GiB; a process of its own."""
    import resource

    import torch

    from tests.cases._names import (
        Attempt,
        Judgment,
        Sample,
        Span,
        Turn,
        Verdict,
        derive_id,
        load_recipe,
    )
    from tests.cases._torch_names import batch_of, learner_of

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    torch.set_num_threads(1)
    recipe = load_recipe(str(tiny_recipe(folder)), ["loss.type=grpo"])
    learner = learner_of(recipe, folder / "own")

    def sample(number: int) -> Sample:
        """No two are alike: equal rows are read once."""
        tokens = tuple(2 + (number + at) % (VOCAB - 2) for at in range(TOKENS))
        turn = Turn(
            prompt_tokens=tokens, tokens=tokens, logprobs=(-1.0,) * TOKENS, text="x",
            finish_reason="length", spans=(Span(version=0, start=0, end=TOKENS),),
        )  # fmt: skip
        return Sample(turns=(turn,))

    verdicts = tuple(
        Verdict(scores={}, reward=float(one % 2), reason="", provenance="exact")
        for one in range(SAMPLES)
    )
    judgments = tuple(
        Judgment(
            id=derive_id("case", "critic", str(one)), run="case", agent="critic", critic="exact",
            verdicts=verdicts, attempt=Attempt(
                id=derive_id("case", "solver", str(one)), run="case", agent="solver",
                task=task(one), samples=tuple(sample(one * SAMPLES + at) for at in range(SAMPLES)),
                temperature=1.0,
            ),
        )
        for one in range(tasks)
    )  # fmt: skip
    batch = batch_of(judgments)
    before = peak()
    if learner.learn(batch, 1)["steps"] < 1:
        raise SystemExit("no step was made")
    print(peak() - before)


def case(folder: Path) -> tuple[int, str]:
    own_model(folder / "own", vocab_size=VOCAB, max_position_embeddings=128)
    gib = {}
    for tasks in (8, 32):
        words = [sys.executable, __file__, str(folder), str(tasks)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=80)
        if done.returncode:
            raise NotTried(f"a step of {tasks} tasks: {done.stderr.strip()[-200:]}")
        gib[tasks * SAMPLES] = float(done.stdout)
    few, many = gib.values()
    said = ", ".join(f"{peak:.2f} GiB for {rows} rows" for rows, peak in gib.items())
    grows = many > 2 * few + 0.1
    return (FAULT if grows else HOLDS), f"one step of {2 * TOKENS} tokens, {VOCAB:,} words: {said}"


if __name__ == "__main__":
    if sys.argv[1:]:
        step(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        run_case(case)
