"""docs/adding-a-domain.md shows a domain that is called complete. Put where the page says, it
fails the contract that the page says every domain is held to."""

import os
import re
import shutil
import sys
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, ROOT, NotTried, command, run_case

PARTS = ("agents", "bus", "docs", "evolvent", "observability", "tests", "trainer")
ABOUT_ANOTHER = "test_the_same_word_is_the_same_problem_whoever_poses_it"


def case(folder: Path) -> tuple[int, str]:
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    page = (ROOT / "docs" / "adding-a-domain.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    if len(code) != 1 or "BinaryConfig" not in code[0]:
        raise NotTried("the page has another example: adapt this case")
    (folder / "agents" / "domains" / "binary.py").write_text(code[0], encoding="utf-8")
    union = folder / "agents" / "domains" / "config.py"
    text = union.read_text(encoding="utf-8")
    text = text.replace("| ReasoningGymConfig", "| BinaryConfig | ReasoningGymConfig", 1)
    text, imports = re.subn(
        r"^from agents\.domains", "from agents.domains.binary import BinaryConfig\n\\g<0>", text,
        count=1, flags=re.MULTILINE,
    )  # fmt: skip
    union.write_text(text, encoding="utf-8")
    contract = folder / "tests" / "agents" / "domains" / "test_domain_contract.py"
    tables = 'CONFIGS = {"binary": {"type": "binary"}}\nHELD_OUT_FROM = {"binary": 10}\n'
    tables += 'WRITABLE = ("binary",)\n\n\n'
    text = contract.read_text(encoding="utf-8")
    if "| BinaryConfig" not in union.read_text() or not imports or "\ndef build(" not in text:
        raise NotTried("the union or the contract looks otherwise: adapt this case")
    contract.write_text(text.replace("\ndef build(", f"\n{tables}def build(", 1), encoding="utf-8")
    example = folder / "binary.py"
    example.write_text(code[0], encoding="utf-8")
    told = command(
        sys.executable, "-m", "evolvent.contract", "domain", example,
        seconds=120, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    broken = re.findall(r"BROKEN  ([^:\n]+)", told.out)
    if told.code not in (0, 1):
        raise NotTried(f"evolvent.contract: {told}")
    os.chdir(folder)
    done = command(
        sys.executable, "-m", "pytest", "-rf", "-p", "no:cacheprovider", "--tb=line",
        f"--deselect=tests/agents/domains/{contract.name}::{ABOUT_ANOTHER}", contract,
        seconds=120, env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    failed = re.findall(r"::(\w+)", "\n".join(
        line for line in done.out.splitlines() if line.startswith("FAILED")
    ))  # fmt: skip
    if done.code == 0 and told.code == 0:
        return HOLDS, f"{told.last}; {done.last}"
    if failed or broken:
        kept_not = sorted({*failed, *broken})
        return FAULT, f"{len(kept_not)} promises are not kept: {', '.join(kept_not)}"
    raise NotTried(f"pytest: {done}; {done.out[-300:]}")


if __name__ == "__main__":
    run_case(case)
