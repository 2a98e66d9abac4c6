"""GRPO with solver.temperature other than 1: the solver's log-probabilities are of the sharpened
distribution, the learner's are not. The ratio is far from 1 before any step; tokens are clipped."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tests.cases._case import FAULT, HOLDS, run_case, task, tiny_recipe

PROMPTS = ("r12345>", "r54>", "r321>")


async def case(folder: Path) -> tuple[int, str]:
    import torch

    from tests.cases._names import (
        Attempt,
        Judgment,
        Sample,
        Turn,
        UsageError,
        Verdict,
        derive_id,
        load_recipe,
    )
    from tests.cases._torch_names import (
        Replay,
        Request,
        batch_of,
        score,
        seed_model,
        served,
        update_of,
    )

    torch.set_num_threads(1)
    path, seed, worst = str(tiny_recipe(folder)), folder / "seed", {}
    recipe = load_recipe(path, ["loss.type=grpo"])
    model = seed_model(recipe, seed)
    with ThreadPoolExecutor(1) as executor:
        engine = await served(seed, executor, max_rows=128)
        for temperature in (1.0, 0.6, 1.5):
            try:
                wanted = ["loss.type=grpo", f"solver.temperature={temperature}"]
                loss = update_of(load_recipe(path, wanted), seed)
            except UsageError:
                continue  # a recipe that is refused misleads nobody
            judgments = []
            for number, text in enumerate(PROMPTS):
                prompt = engine.encode(text)
                asked = Request(prompt_tokens=prompt, n=32, max_tokens=8, temperature=temperature)
                samples = tuple(
                    Sample(turns=(Turn(
                        prompt_tokens=prompt, tokens=one.tokens, logprobs=one.logprobs,
                        text=engine.decode(one.tokens), finish_reason=one.finish_reason,
                        spans=one.spans,
                    ),))
                    for one in await engine.generate(asked)
                )  # fmt: skip
                attempt = Attempt(
                    id=derive_id("case", "solver", str(number)), run="case", agent="solver",
                    task=task(number), samples=samples, temperature=temperature,
                )  # fmt: skip
                verdicts = tuple(
                    Verdict(scores={}, reward=float(one % 2), reason="", provenance="exact")
                    for one in range(len(samples))
                )
                judgments.append(Judgment(
                    id=derive_id("case", "critic", str(number)), run="case", agent="critic",
                    attempt=attempt, verdicts=verdicts, critic="exact",
                ))  # fmt: skip
            batch = batch_of(judgments)
            with torch.no_grad():
                for rows in loss.steps(batch, Replay(1), Random(0)):
                    scored = score(model, rows)
                    ratio = (scored.logprobs_BT - scored.behaviour_BT).exp()[scored.mask_BT > 0]
                    worst[temperature] = float((ratio - 1).abs().max())
        await engine.close()
    said = ", ".join(f"{t}: {off:.3f}" for t, off in worst.items())
    said = f"largest distance from 1 of the ratio before any step, by temperature: {said}"
    return (FAULT if max(worst.values()) > 0.02 else HOLDS), said


if __name__ == "__main__":
    run_case(case)
