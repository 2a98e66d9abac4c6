"""Verdicts that were derived from a log, as files of events in a namespace of their own. Nobody
can take one for a judgment of the run: its type is none that a bus reads, its topic none that a
bus has, and it names its attempt instead of carrying it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from bus.codec import CONTENT_TYPE, SPECVERSION, TYPE_PREFIX
from bus.events import EventId, Judgment, Part, Verdict, derive_id

VERDICTS, VERSIONS, DIFFERENCES = "verdicts.jsonl", "versions.jsonl", "differences.json"
_NAMESPACE = "rejudged"
_TYPE = "rejudgment"


class Rejudgment(Part):
    """What a judge would have said of a recorded attempt, or why a critic would have `rejected`
    it. `judgment` is the one on the log."""

    id: EventId
    run: str
    agent: str
    judgment: EventId
    attempt: EventId
    task: EventId
    critic: str
    verdicts: tuple[Verdict, ...] = ()
    rejected: str = ""


def rejudgment(
    judgment: Judgment, again: tuple[Verdict, ...] | str, name: str, critic: str
) -> Rejudgment:
    agent = f"{_NAMESPACE}.{name}"
    said = {"rejected": again} if isinstance(again, str) else {"verdicts": again}
    return Rejudgment.model_validate(
        {
            "id": derive_id(judgment.run, agent, judgment.attempt.id),
            "run": judgment.run,
            "agent": agent,
            "judgment": judgment.id,
            "attempt": judgment.attempt.id,
            "task": judgment.attempt.task.id,
            "critic": critic,
            **said,
        }
    )


def line(event: Rejudgment) -> dict[str, Any]:
    """As a record would have it: topic, key, headers, value."""
    headers = {
        "ce_specversion": SPECVERSION,
        "ce_type": TYPE_PREFIX + _TYPE,
        "ce_dataschema": f"urn:evolvent:schema:{_TYPE}:1",
        "content-type": CONTENT_TYPE,
        "ce_id": event.id,
        "ce_source": f"/{event.run}/{event.agent}",
        "ce_subject": event.task,
        "ce_causationid": event.judgment,
    }
    value = event.model_dump(mode="json")
    return {"topic": event.agent, "key": event.task, "headers": headers, "value": value}


class Written:
    """The files of a folder: verdicts, and the versions that would have learned otherwise."""

    def __init__(self, folder: Path, name: str, critic: str) -> None:
        self._folder, self._name, self._critic = folder, name, critic
        self._verdicts = (folder / VERDICTS).open("w", encoding="utf-8")
        self._versions = (folder / VERSIONS).open("w", encoding="utf-8")

    def judged(self, judgment: Judgment, again: tuple[Verdict, ...] | str) -> None:
        _write(self._verdicts, line(rejudgment(judgment, again, self._name, self._critic)))

    def version(self, row: Mapping[str, Any]) -> None:
        _write(self._versions, row)

    def close(self, differences: Mapping[str, Any]) -> None:
        self._verdicts.close()
        self._versions.close()
        text = json.dumps(differences, indent=1)
        (self._folder / DIFFERENCES).write_text(text, encoding="utf-8")


def _write(file: IO[str], row: Mapping[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
