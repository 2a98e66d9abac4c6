"""Faults planted into copies of a run at rest, one each, checksums right unless the fault says so.
`LEVELS` says which level of `evolvent audit` must find which; what is not found is printed as
MISSED."""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cases._case import FAULT, HOLDS, NotTried, evolvent, run_case, tiny_run, versions

PLANTS: list[Callable[["Copy"], None]] = []
NOBODY = "f" * 32

PLAIN, DEEP, ENGINE = (), ("--deep",), ("--deep", "--engine")
LEVELS = {
    PLAIN: "payload_flipped cause_never_existed stale_by_header version_missing trainer_ahead "
    "proposer_answer_lost evaluation_lost weights_replaced second_curriculum second_evaluation "
    "second_attempt second_judgment second_task wrong_partition effect_before_cause "
    "judgments_swapped trained_twice recipe_changed start_changed manifest_of_another_recipe "
    "staleness_raised cause_cut_off another_run task_and_answers_lost thinned_by_hand",
    DEEP: "payload_of_another attempt_inside_never_existed tokens_altered stale_by_spans "
    "held_out_trained rewards_turned metrics_forged verdicts_fewer task_unreadable "
    "answer_changed judged_by_another samples_fewer spans_cut dated_otherwise means_forged",
    ENGINE: "weights_and_digests_replaced scores_forged",
}
"""Only what no log can say, what a model answers, may be left to an engine."""


def plant(fault: Callable[["Copy"], None]) -> Callable[["Copy"], None]:
    PLANTS.append(fault)
    return fault


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def checksum(topic: str, part: int, off: int, key: str, headers: str, value: bytes) -> int:
    sizes = f"{topic} {part} {off} {len(key)} {len(headers)} {key}{headers}"
    return zlib.crc32(value, zlib.crc32(sizes.encode()))


class Copy:
    """A copy of a run whose log and manifests can be changed; `mid` is a version in its middle,
    `one` and `two` are places of judgments that it was trained on."""

    def __init__(self, run: Path, folder: Path) -> None:
        self.dir = folder
        shutil.copytree(run, folder, copy_function=os.link)
        for log in folder.glob("log.sqlite*"):
            # What is written here is of this copy alone.
            log.unlink()
            shutil.copy(run / log.name, log)
        self.log = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
        self.mid = (self.head("weights", 0) - 1) * 2 // 3
        self.one, self.two = self.trained(self.mid)[:2]

    def sql(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self.log.execute(query, values)

    def get(self, query: str, *values: Any) -> Any:
        return self.sql(query, values).fetchone()

    def head(self, topic: str, part: int) -> int:
        return int(self.get("SELECT next FROM head WHERE topic=? AND part=?", topic, part)[0])

    def row(self, at: tuple[str, int, int]) -> Any:
        query = "SELECT key, headers, value FROM log WHERE topic=? AND part=? AND off=?"
        return self.get(query, *at)

    def body(self, at: tuple[str, int, int]) -> Any:
        return json.loads(self.row(at)[2])

    def headers(self, at: tuple[str, int, int]) -> Any:
        return json.loads(self.row(at)[1])

    def put(self, at: tuple[str, int, int], body: Any = None, headers: Any = None) -> None:
        key, old_headers, value = self.row(at)
        text = old_headers if headers is None else dumps(headers).decode()
        if body is not None:
            value = body if isinstance(body, bytes) else dumps(body)
        self.sql(
            "UPDATE log SET headers=?, value=?, crc=? WHERE topic=? AND part=? AND off=?",
            (text, value, checksum(*at, key, text, value), *at),
        )

    def add(self, topic: str, part: int, key: str, headers: Any, value: bytes) -> None:
        off, text = self.head(topic, part), dumps(headers).decode()
        self.sql(
            "INSERT INTO log (topic, part, off, event_id, key, headers, value, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (topic, part, off, bytes.fromhex(headers["ce_id"]), key, text, value,
             checksum(topic, part, off, key, text, value)),
        )  # fmt: skip
        self.sql("UPDATE head SET next=? WHERE topic=? AND part=?", (off + 1, topic, part))

    def again(self, at: tuple[str, int, int]) -> None:
        """The same record once more, under an id of its own."""
        headers = {**self.headers(at), "ce_id": NOBODY}
        value = dumps({**self.body(at), "id": NOBODY})
        self.add(at[0], at[1], self.row(at)[0], headers, value)

    def part_of(self, key: str) -> int:
        from tests.cases._names import partition_of

        return int(partition_of(key, 4))

    def cut(self, topic: str, part: int, off: int) -> None:
        """Nothing was ever written from `off` on."""
        self.sql("DELETE FROM log WHERE topic=? AND part=? AND off>=?", (topic, part, off))
        self.sql("UPDATE head SET next=? WHERE topic=? AND part=?", (off, topic, part))
        self.sql("UPDATE cursor SET base=min(base, ?) WHERE topic=? AND part=?", (off, topic, part))

    def of_task(self, topic: str, at: tuple[str, int, int]) -> tuple[str, int, int]:
        """Where the record of `topic` lies that belongs to the same task."""
        query = "SELECT part, off FROM log WHERE topic=? AND key=?"
        return (topic, *self.get(query, topic, self.row(at)[0]))

    def folder(self, number: int) -> Path:
        [folder] = (self.dir / "checkpoints").glob(f"v{number:06d}-*")
        return folder

    def manifest(self, number: int) -> Any:
        return json.loads((self.folder(number) / "manifest.json").read_bytes())

    def trained(self, number: int) -> list[tuple[str, int, int]]:
        found = self.manifest(number)["trained"]
        places = [(x["topic"], x["partition"], x["offset"]) for x in found]
        return [at for at in places if at[0] == "judgments"]

    def forge(self, number: int, change: Callable[[Any], None]) -> None:
        """Change a manifest and the event that publishes it alike."""
        path, manifest = self.folder(number) / "manifest.json", self.manifest(number)
        change(manifest)
        ranges: dict[str, list[list[int]]] = {}
        listed = manifest["trained"] + manifest["dropped"]
        for x in sorted(listed, key=lambda x: (x["topic"], x["partition"], x["offset"])):
            runs = ranges.setdefault(f"{x['topic']}/{x['partition']}", [])
            if runs and runs[-1][1] == x["offset"]:
                runs[-1][1] += 1
            else:
                runs.append([x["offset"], x["offset"] + 1])
        manifest["weights"]["positions"] = ranges
        path.unlink()
        path.write_bytes(dumps(manifest))
        self.put(("weights", 0, number), manifest["weights"])

    def take_weights_of(self, source: int, number: int) -> str:
        """A version gets the weights of another; their sha256."""
        path = self.folder(number) / "model.safetensors"
        path.unlink()
        shutil.copy(self.folder(source) / "model.safetensors", path)
        return hashlib.sha256(path.read_bytes()).hexdigest()


@plant
def payload_flipped(c: Copy) -> None:
    "one byte of a judgment changed, the checksum left as it was"
    value = bytearray(c.row(c.one)[2])
    value[-20] ^= 1
    c.sql("UPDATE log SET value=? WHERE topic=? AND part=? AND off=?", (bytes(value), *c.one))


@plant
def payload_of_another(c: Copy) -> None:
    "a judgment has the body of another one, under its own id and headers"
    c.put(c.one, {**c.body(c.two), "id": c.body(c.one)["id"]})


@plant
def cause_never_existed(c: Copy) -> None:
    "the header of a judgment says that it answers an attempt that never existed"
    c.put(c.one, headers={**c.headers(c.one), "ce_causationid": NOBODY})


@plant
def attempt_inside_never_existed(c: Copy) -> None:
    "the attempt inside a judgment has another id and its samples in another order"
    body = c.body(c.one)
    body["attempt"]["id"], body["attempt"]["samples"] = NOBODY, body["attempt"]["samples"][::-1]
    c.put(c.one, body)


@plant
def tokens_altered(c: Copy) -> None:
    "the tokens of a sample inside a judgment differ from those of its attempt on the log"
    body = c.body(c.one)
    turn = body["attempt"]["samples"][0]["turns"][0]
    raw = bytearray(base64.b64decode(turn["tokens"]))
    raw[0] ^= 3
    turn["tokens"] = base64.b64encode(bytes(raw)).decode()
    c.put(c.one, body)


@plant
def stale_by_header(c: Copy) -> None:
    "the header of a trained judgment says that it was drawn too many versions before"
    oldest = str(max(0, c.mid - 9))
    c.put(c.one, headers={**c.headers(c.one), "ce_modelversion": oldest})


@plant
def stale_by_spans(c: Copy) -> None:
    "the spans of a trained judgment say that version 0 drew its tokens; the header says otherwise"
    body = c.body(c.one)
    for sample in body["attempt"]["samples"]:
        for turn in sample["turns"]:
            for span in turn["spans"]:
                span["version"] = 0
    c.put(c.one, body)


@plant
def version_missing(c: Copy) -> None:
    "a version is taken out, record and folder, and the later records move down by one"
    head = c.head("weights", 0)
    shutil.rmtree(c.folder(c.mid))
    c.sql("DELETE FROM log WHERE topic='weights' AND off=?", (c.mid,))
    for off in range(c.mid + 1, head):
        key, headers, value = c.row(("weights", 0, off))
        crc = checksum("weights", 0, off - 1, key, headers, value)
        c.sql("UPDATE log SET off=?, crc=? WHERE topic='weights' AND off=?", (off - 1, crc, off))
    c.sql("UPDATE head SET next=? WHERE topic='weights'", (head - 1,))
    c.sql("UPDATE cursor SET base=min(base, ?) WHERE topic='weights'", (head - 1,))


@plant
def trainer_ahead(c: Copy) -> None:
    "the trainer's cursor stands behind judgments that no version has consumed"
    query = "SELECT c.part, h.next - c.base FROM cursor c JOIN head h USING (topic, part) "
    query += "WHERE grp='trainer' AND topic='judgments' ORDER BY 2 DESC"
    part, left = c.get(query)
    moved = max(1, min(10, left))
    query = "UPDATE cursor SET base=base+? WHERE grp='trainer' AND topic='judgments' AND part=?"
    c.sql(query, (moved, part))


@plant
def proposer_answer_lost(c: Copy) -> None:
    "the newest curriculum is gone, though the version that it answers is done for the proposer"
    c.cut("curricula", 0, c.head("curricula", 0) - 1)


@plant
def evaluation_lost(c: Copy) -> None:
    "the newest evaluation is gone, though the evaluator's cursor says that it was made"
    c.cut("evaluations", 0, c.head("evaluations", 0) - 1)


@plant
def held_out_trained(c: Copy) -> None:
    "a held-out problem stands in a task, its attempt and its judgment, and was trained on"
    from tests.cases._names import domain_of

    problem = domain_of(c.dir).held_out("reverse", 5, 1)[0]
    said = {name: getattr(problem, name) for name in ("prompt", "question", "answer", "level")}
    said["metadata"] = dict(problem.metadata)
    for topic, path in (("tasks", ()), ("attempts", ("task",)), ("judgments", ("attempt", "task"))):
        at = c.of_task(topic, c.one)
        body = part = c.body(at)
        for name in path:
            part = part[name]
        part.update(said)
        c.put(at, body)


@plant
def rewards_turned(c: Copy) -> None:
    "the rewards of a trained judgment are turned round; the domain's verifier says otherwise"
    body = c.body(c.one)
    for verdict in body["verdicts"]:
        verdict["reward"] = 1.0 - verdict["reward"]
    c.put(c.one, body)


@plant
def weights_and_digests_replaced(c: Copy) -> None:
    "a version has its parent's weights, the digest renewed in manifest and event"
    digest = c.take_weights_of(c.mid - 1, c.mid)

    def change(manifest: Any) -> None:
        for files in (manifest["files"], manifest["weights"]["files"]):
            files["model.safetensors"] = digest

    c.forge(c.mid, change)


@plant
def weights_replaced(c: Copy) -> None:
    "a version has its parent's weights, the digests left as they were"
    c.take_weights_of(c.mid - 1, c.mid)


@plant
def metrics_forged(c: Copy) -> None:
    "a version says that its batch was all right: reward 1, every sample correct"

    def change(manifest: Any) -> None:
        manifest["weights"]["metrics"].update(reward=1.0, staleness_max=0.0)
        for level in manifest["weights"]["batch"]:
            level["correct"] = level["samples"]

    c.forge(c.mid, change)


@plant
def second_curriculum(c: Copy) -> None:
    "the proposer has answered one version twice, under two ids"
    at = ("curricula", 0, min(c.mid, c.head("curricula", 0) - 1))
    headers = {**c.headers(at), "ce_id": NOBODY}
    c.add("curricula", 0, c.row(at)[0], headers, dumps({**c.body(at), "id": NOBODY}))


@plant
def wrong_partition(c: Copy) -> None:
    "the last task of a partition lies in another one: its key is in two partitions' order"
    source = max(range(4), key=lambda part: c.head("tasks", part))
    target, at = (source + 1) % 4, ("tasks", source, c.head("tasks", source) - 1)
    key, headers, value = c.row(at)
    done = "UPDATE cursor SET base=base+1 WHERE topic='tasks' AND part=? AND base=?"
    head = c.head("tasks", target)
    c.cut(*at)
    c.add("tasks", target, key, json.loads(headers), value)
    c.sql(done, (target, head))


@plant
def effect_before_cause(c: Copy) -> None:
    "a judgment was committed before its attempt, and is dated a day before"
    attempt = c.of_task("attempts", c.one)
    query = "SELECT seq FROM log WHERE topic=? AND part=? AND off=?"
    early, late = c.get(query, *attempt)[0], c.get(query, *c.one)[0]
    for old, new in ((early, -1), (late, early), (-1, late)):
        c.sql("UPDATE log SET seq=? WHERE seq=?", (new, old))
    headers = c.headers(c.one)
    dated = datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00"))
    headers["ce_time"] = (dated - timedelta(days=1)).isoformat()
    c.put(c.one, headers=headers)


@plant
def judgments_swapped(c: Copy) -> None:
    "two versions have swapped a judgment: one lists what was judged after it was published"
    seq = "SELECT seq FROM log WHERE topic=? AND part=? AND off=?"

    def place(x: Any) -> tuple[str, int, int]:
        return x["topic"], x["partition"], x["offset"]

    for number in range(1, c.head("weights", 0) - 1):
        published = c.get(seq, "weights", 0, number)[0]
        mine, next_ones = c.manifest(number)["trained"], c.manifest(number + 1)["trained"]
        later = [x for x in next_ones if c.get(seq, *place(x))[0] > published]
        if mine and later:
            break
    else:
        raise NotTried("no version was trained on anything newer than its parent")
    old, new = mine[0], later[0]
    c.forge(number, lambda m: m.update(trained=[new if x == old else x for x in m["trained"]]))
    c.forge(number + 1, lambda m: m.update(trained=[old if x == new else x for x in m["trained"]]))


@plant
def trained_twice(c: Copy) -> None:
    "a judgment of one version is listed by the next one too, counts and positions kept right"
    again = c.manifest(c.mid)["trained"][0]

    def change(manifest: Any) -> None:
        manifest["trained"].append(again)
        manifest["weights"]["trained"] += 1
        manifest["weights"]["consumed"] += 1

    c.forge(c.mid + 1, change)


@plant
def verdicts_fewer(c: Copy) -> None:
    "a trained judgment has one verdict for four samples"
    body = c.body(c.one)
    c.put(c.one, {**body, "verdicts": body["verdicts"][:1]})


@plant
def recipe_changed(c: Copy) -> None:
    "recipe.json has another seed and staleness than the start event, and than manifests' digests"
    path = c.dir / "recipe.json"
    stored = json.loads(path.read_bytes())
    stored["recipe"]["seed"], stored["recipe"]["trainer"]["max_staleness"] = 77, 50
    path.unlink()
    path.write_bytes(dumps(stored))


@plant
def cause_cut_off(c: Copy) -> None:
    "the log ends before the task and the attempt of its newest judgment"
    part = max(range(4), key=lambda part: c.head("judgments", part))
    newest = ("judgments", part, c.head("judgments", part) - 1)
    places = [c.of_task(topic, newest) for topic in ("attempts", "tasks")]
    for at in places:
        c.cut(*at)


@plant
def task_unreadable(c: Copy) -> None:
    "the body of a task that is done is garbage under a right checksum"
    c.put(c.of_task("tasks", c.one), b"garbage")


@plant
def second_evaluation(c: Copy) -> None:
    "the evaluator has measured one version twice, under two ids"
    c.again(("evaluations", 0, 0))


@plant
def second_attempt(c: Copy) -> None:
    "a task has a second attempt under another id, which is not judged"
    c.again(c.of_task("attempts", c.one))


@plant
def second_judgment(c: Copy) -> None:
    "an attempt has a second judgment under another id"
    c.again(c.one)


@plant
def second_task(c: Copy) -> None:
    "a version has granted one task more than the proposer says"
    at = c.of_task("tasks", c.one)
    key = next(key for n in range(99) if c.part_of(key := f"{n:032x}") == at[1])
    headers = {**c.headers(at), "ce_id": key, "ce_subject": key, "ce_correlationid": key}
    c.add("tasks", at[1], key, headers, dumps({**c.body(at), "id": key}))


@plant
def start_changed(c: Copy) -> None:
    "the start event on the log has another learning rate than recipe.json"
    at = ("control", 0, 0)
    body = c.body(at)
    body["settings"]["optimizer"]["muon_lr"] = 0.5
    c.put(at, body)


@plant
def manifest_of_another_recipe(c: Copy) -> None:
    "the manifest of a version names another recipe"
    c.forge(c.mid, lambda manifest: manifest.update(recipe="0" * 64))


@plant
def staleness_raised(c: Copy) -> None:
    "a later start event allows more staleness, and a judgment is staler than the first one allows"
    start = ("control", 0, 0)
    body = {**c.body(start), "id": NOBODY}
    body["settings"]["trainer"]["max_staleness"] = 50
    c.add("control", 0, c.row(start)[0], {**c.headers(start), "ce_id": NOBODY}, dumps(body))
    oldest = str(max(0, c.mid - 9))
    c.put(c.one, headers={**c.headers(c.one), "ce_modelversion": oldest})


@plant
def another_run(c: Copy) -> None:
    "a judgment bears the name of another run"
    agent = c.headers(c.one)["ce_source"].rpartition("/")[2]
    c.put(c.one, headers={**c.headers(c.one), "ce_source": f"/another-run/{agent}"})


@plant
def task_and_answers_lost(c: Copy) -> None:
    "the last task of a partition is gone, and with it all that answered it"
    for part in range(4):
        at = ("tasks", part, c.head("tasks", part) - 1)
        answers = [c.of_task(topic, at) for topic in ("attempts", "judgments")]
        if all(off == c.head(topic, p) - 1 for topic, p, off in answers):
            break
    else:
        raise NotTried("no partition ends with the answers to its last task")
    consumed = {place for n in range(c.head("weights", 0)) for place in c.trained(n)}
    if answers[1] in consumed:
        raise NotTried("the last judgment was trained on")
    for place in (at, *answers):
        c.cut(*place)


@plant
def thinned_by_hand(c: Copy) -> None:
    "the weights of a young version are taken, and a note says that it was by rule"
    folder, rule = c.folder(c.mid), {"keep_newest": 1000, "keep_every": 100, "keep_evaluated": 32}
    gone = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "manifest.json":
            path.unlink()
    note = {"rule": {**rule, "newest": c.head("weights", 0) - 1}, "files": gone}
    (folder / "thinned.json").write_bytes(dumps(note))


@plant
def answer_changed(c: Copy) -> None:
    "a task, its attempt and its judgment have another answer than the question has"
    for topic, path in (("tasks", ()), ("attempts", ("task",)), ("judgments", ("attempt", "task"))):
        at = c.of_task(topic, c.one)
        body = part = c.body(at)
        for name in path:
            part = part[name]
        part["answer"] = part["answer"][::-1] + "0"
        c.put(at, body)


@plant
def judged_by_another(c: Copy) -> None:
    "the verdicts of a trained judgment say that another judge gave them"
    body = c.body(c.one)
    for verdict in body["verdicts"]:
        verdict["provenance"] = "model"
    c.put(c.one, body)


@plant
def samples_fewer(c: Copy) -> None:
    "an attempt that was not trained on has lost a sample, and its judgment the verdict"
    consumed = {place for n in range(c.head("weights", 0)) for place in c.trained(n)}
    places = [("judgments", p, off) for p in range(4) for off in range(c.head("judgments", p))]
    left = [at for at in places if at not in consumed]
    if not left:
        raise NotTried("every judgment was trained on")
    attempt = c.of_task("attempts", left[0])
    body = c.body(attempt)
    body["samples"] = body["samples"][:-1]
    c.put(attempt, body)
    judgment = c.body(left[0])
    judgment["attempt"]["samples"] = judgment["attempt"]["samples"][:-1]
    c.put(left[0], {**judgment, "verdicts": judgment["verdicts"][:-1]})


@plant
def spans_cut(c: Copy) -> None:
    "nothing says which version drew the last tokens of an attempt, on the log and in its judgment"
    for topic, path in (("attempts", ()), ("judgments", ("attempt",))):
        at = c.of_task(topic, c.one)
        body = part = c.body(at)
        for name in path:
            part = part[name]
        part["samples"][0]["turns"][0]["spans"][-1]["end"] -= 1
        c.put(at, body)


@plant
def dated_otherwise(c: Copy) -> None:
    "the body of a judgment is dated otherwise than its header"
    c.put(c.one, {**c.body(c.one), "created_at": "2001-01-01T00:00:00Z"})


@plant
def means_forged(c: Copy) -> None:
    "an evaluation says more in the mean than its suites"
    at = ("evaluations", 0, c.head("evaluations", 0) - 1)
    c.put(at, {**c.body(at), "held_out": 0.987})


@plant
def scores_forged(c: Copy) -> None:
    "an evaluation says that another number of answers was right, the means follow"
    at = ("evaluations", 0, c.head("evaluations", 0) - 1)
    body = c.body(at)
    score = next(one for one in body["scores"] if one["level"] > body["warmup_end"])
    c.mid = body["weights_version"]
    score["correct"] = 0 if score["correct"] else score["total"]
    above = [x["correct"] / x["total"] for x in body["scores"] if x["level"] > body["warmup_end"]]
    c.put(at, {**body, "held_out": sum(above) / len(above)})


def audited(run: Path, level: tuple[str, ...]) -> tuple[bool, str]:
    """Whether the audit found something, and what it said first. The command is called in this
    process: a new one for each fault would take most of the time."""
    from typer.testing import CliRunner

    from tests.cases._names import app

    done = CliRunner().invoke(app, ["audit", str(run), *level, "--json"])
    try:
        found = json.loads(done.stdout)["violations"]
    except (ValueError, KeyError):
        return False, f"the audit itself fails: {done.exception!r} {done.output[-200:]}"
    said = f"{len(found)}: {found[0]['code']} {found[0]['sentence'][:90]}" if found else ""
    return bool(found) and done.exit_code == 1, said


def case(folder: Path) -> tuple[int, str]:
    levels = {name: level for level, names in LEVELS.items() for name in names.split()}
    assert sorted(levels) == sorted(fault.__name__ for fault in PLANTS)
    # With rows of the warm-up every version differs from its parent.
    settings = ("--set", "loss.warmup_rows=8", "--set", "checkpoints.keep_newest=1000")
    run = tiny_run(folder, *settings, budget="12s", seconds=120)
    if len(versions(run)) < 8:
        raise NotTried(f"the run has {len(versions(run))} versions only")
    for level in (PLAIN, DEEP, (*ENGINE, "--version", "0")):
        if (clean := evolvent("audit", run, *level)).code != 0:
            return FAULT, f"the audit {' '.join(level)} of the untouched run: {clean}"
    tried = [planted(run, folder, fault, levels) for fault in PLANTS]
    missed = [fault.__name__ for fault, found in zip(PLANTS, tried, strict=True) if found is False]
    said = f"{len(missed)} of {len(PLANTS)} planted faults were missed {' '.join(missed)}"
    return (FAULT if missed else HOLDS), said


def planted(
    run: Path, folder: Path, fault: Callable[[Copy], None], levels: dict[str, tuple[str, ...]]
) -> bool | None:
    """Whether its level finds a fault; None where it cannot be planted."""
    copy, name = Copy(run, folder / fault.__name__), fault.__name__
    try:
        fault(copy)
    except NotTried as reason:
        print(f"(not planted: {name}: {reason})", flush=True)
        return None
    copy.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    copy.log.close()
    level = levels[name]
    if level is ENGINE:
        level = (*ENGINE, "--version", str(copy.mid))
    found, said = audited(copy.dir, level)
    word, how = "caught" if found else "MISSED", " ".join(level) or "plain"
    print(f"{word}  {how:15} {name:28} {fault.__doc__} {said and f'[{said}]'}", flush=True)
    shutil.rmtree(copy.dir)
    return found


if __name__ == "__main__":
    run_case(case, seconds=178)
