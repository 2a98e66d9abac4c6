"""Standard output is not UTF-8 (a terminal in latin-1, a log that is ASCII): `run`, `status` and
`curve` end in the middle with a traceback, though their work is done."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, tiny_run


def case(folder: Path) -> tuple[int, str]:
    run, wrong = tiny_run(folder), []
    if (done := evolvent("status", run)).code != 0:
        raise NotTried(f"status: {done}")
    for encoding, words in (
        ("ascii", ("status", run)),
        ("ascii", ("curve", run)),
        ("latin-1", ("run", "--dir", run, "--budget", "3s")),
    ):
        done = evolvent(*words, seconds=60, env={"PYTHONIOENCODING": encoding})
        if done.code != 0 or "Traceback" in done.err:
            error = [line for line in done.err.splitlines() if "Error" in line]
            wrong.append(f"{words[0]} in {encoding}: exit code {done.code}, {error[-1:]}")
    return (FAULT if wrong else HOLDS), "; ".join(wrong) or "run, status and curve go through"


if __name__ == "__main__":
    run_case(case)
