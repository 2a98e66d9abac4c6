"""What the cases share: commands with a time limit, a tiny run, a model of one's own, and the
verdict: one line and an exit code."""

import asyncio
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

HOLDS, FAULT, NOT_TRIED = 0, 1, 2
_SAID = {HOLDS: "holds", FAULT: "FAULT", NOT_TRIED: "not tried"}

TINY = """
name = "tiny"
description = "tiny strings"
model = { hidden = 16, intermediate = 24, layers = 1, heads = 1, head_dim = 16 }
domain = { type = "strings", levels = [1, 2, 3, 4, 5], families = ["reverse"] }
warmup = { steps = 20, batch = 16 }
trainer = { size = 8 }
solver = { samples = 4 }
evaluator = { every = 50, count = 4 }
"""


class NotTried(Exception):
    """The case cannot be tried here: the reason."""


def run_case(case: Callable[[Path], Any], seconds: int = 170) -> None:
    """`case(folder)` says (exit code, sentence), at once or awaited; then the process ends."""

    def over(*_: Any) -> None:
        raise NotTried(f"nothing was decided within {seconds} s")

    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    folder = Path(tempfile.mkdtemp(prefix="evolvent-case-"))
    said: Any = None
    try:
        said = case(folder)
        # Not asyncio.run: that waits for threads, and some of what is tried here hangs.
        waited = inspect.iscoroutine(said)
        code, sentence = asyncio.new_event_loop().run_until_complete(said) if waited else said
    except NotTried as reason:
        code, sentence = NOT_TRIED, str(reason)
    except Exception as error:
        import traceback

        traceback.print_exc(limit=-3)
        code, sentence = NOT_TRIED, f"the case itself fails: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        if inspect.iscoroutine(said):
            said.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.flush()
    print(f"{_SAID[code]}: {' '.join(sentence.split())[:400]}", flush=True)
    os._exit(code)  # threads of a bus that hangs must not keep the verdict back


@dataclass(frozen=True)
class Done:
    """A command that ended; `code` None when it still ran at its limit and was stopped."""

    code: int | None
    out: str
    err: str

    @property
    def last(self) -> str:
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it said nothing"

    @property
    def one_sentence(self) -> bool:
        """What a user can mend: exit code 2, no traceback, and no process that died many times."""
        told = self.code == 2 and "Traceback" not in self.err + self.out
        return told and "times in a row" not in self.err

    def __str__(self) -> str:
        code = "still runs at its limit" if self.code is None else f"exit code {self.code}"
        return f"{code}, {self.last!r}"


def command(*words: object, seconds: float = 60, env: dict[str, str] | None = None) -> Done:
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, start_new_session=True,
    )  # fmt: skip
    code: int | None = None
    try:
        out, err = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Done(code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def child(*words: object) -> subprocess.Popen[bytes]:
    """A process of the case's own: Python with `words`; its output can be read."""
    return subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE)


def evolvent(*words: object, seconds: float = 60, env: dict[str, str] | None = None) -> Done:
    return command(program(), *words, seconds=seconds, env=env)


def program() -> Path:
    return Path(sys.executable).with_name("evolvent")


def tiny_recipe(folder: Path, more: str = "") -> Path:
    path = folder / "tiny.toml"
    path.write_text(TINY + more, encoding="utf-8")
    return path


def tiny_run(folder: Path, *words: object, budget: str = "4s", seconds: float = 90) -> Path:
    """The folder of a run that evolved for `budget` and rests."""
    run = folder / "run"
    done = evolvent(
        "run", "--recipe", tiny_recipe(folder), "--dir", run, "--budget", budget, *words,
        seconds=seconds,
    )  # fmt: skip
    if done.code != 0:
        raise NotTried(f"no tiny run could be made: {done}")
    return run


def versions(run: Path) -> list[Path]:
    return sorted(path for path in (run / "checkpoints").glob("v*"))


def own_model(folder: Path, kind: str = "llama", **fields: Any) -> Path:
    """A tiny random model of `kind` as an ordinary folder, with the seed model's tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM
    from transformers.utils import logging

    from tests.cases._torch_names import make_tokenizer

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if kind == "llama":
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
        sizes |= {"num_attention_heads": 2, "max_position_embeddings": 64, "vocab_size": 64}
        fields = {**sizes, "eos_token_id": 1, "bos_token_id": None, **fields}
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**fields))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def task(number: int, run: str = "case") -> Any:
    from tests.cases._names import Task, derive_id

    return Task(
        id=derive_id(run, "proposer", "case", number), run=run, agent="proposer", domain="strings",
        family="reverse", level=1, prompt="r1>", question=f"question {number}", answer="1",
        weights_version=0, granted_by="a" * 32, source="curriculum",
    )  # fmt: skip
