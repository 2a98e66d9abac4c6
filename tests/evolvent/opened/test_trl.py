"""What is exported is read by stock `datasets` and learned from by stock TRL, in an environment of
their own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.peer_trl import PINNED
from evolvent.opened.example import write_example
from harness.runs import ROOT
from tests.evolvent.conftest import Shown

TRAINS = """
import json, sys
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

told = {}
for name in ("prompts", "pairs", "groups"):
    told[name] = load_dataset(name, split="train").num_rows
    told[name + "_columns"] = load_dataset(name, split="train").column_names
settings = dict(
    max_steps=1, per_device_train_batch_size=4, report_to="none", use_cpu=True, save_strategy="no",
    bf16=False,
)
for name, trainer, config in (
    ("prompts", SFTTrainer, SFTConfig), ("pairs", DPOTrainer, DPOConfig)
):
    made = trainer(
        "model",
        args=config(output_dir="out", **settings),
        train_dataset=load_dataset(name, split="train"),
        processing_class=AutoTokenizer.from_pretrained("model"),
    )
    told[name + "_loss"] = made.train().training_loss
print(json.dumps(told))
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_stock_libraries_load_and_learn_from_an_export(tmp_path: Path, shown: Shown) -> None:
    write_example(tmp_path / "run")
    rows = {}
    for what in ("prompts", "pairs", "groups", "model"):
        said = shown("export", tmp_path / "run", what, tmp_path / what)
        rows[what] = int(said.split()[0].replace(",", "")) if what != "model" else 0
    python = tmp_path / "environment/bin/python"
    uv = ROOT / ".tools/bin/uv"
    subprocess.run([uv, "venv", "--quiet", tmp_path / "environment"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PINNED], check=True)
    done = subprocess.run(
        [python, "-c", TRAINS],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    for what in ("prompts", "pairs", "groups"):
        assert told[what] == rows[what]
    assert told["prompts_columns"][:2] == ["prompt", "completion"]
    assert told["pairs_columns"][:3] == ["prompt", "chosen", "rejected"]
    assert told["prompts_loss"] > 0 and told["pairs_loss"] > 0
