"""One worked example of every event, no field left out."""

from datetime import UTC, datetime

from bus.events import (
    Attempt,
    Call,
    Control,
    Curriculum,
    DeadLetter,
    Evaluation,
    Event,
    Judgment,
    Lesson,
    LevelCount,
    Parent,
    Plugin,
    Promotion,
    Proposal,
    Refusal,
    Sample,
    Span,
    SuiteScore,
    Task,
    Turn,
    Verdict,
    Watermark,
    Weights,
    derive_id,
)

RUN = "demo"
AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
FIRST = derive_id(RUN, "trainer", "seed")
SECOND = derive_id(RUN, "trainer", FIRST)
OBJECTIVE = derive_id(RUN, "operator", "objective")

TURN = Turn(
    prompt_tokens=(1, 57, 300),
    tokens=(4, 70_000, 2),
    logprobs=(-0.25, -1.5, -0.0078125),
    text="olleh",
    finish_reason="stop",
    spans=(Span(version=1, start=0, end=2), Span(version=2, start=2, end=3)),
    seat="second",
    trainable=True,
    policy="current",
    temperature=0.5,
    top_p=0.875,
    top_k=40,
    learned_prompt=(1, 57),
)
FROZEN = TURN.model_copy(
    update={
        "seat": "first",
        "trainable": False,
        "policy": "reference",
        "spans": (Span(version=0, start=0, end=3),),
    }
)
JUDGED = FROZEN.model_copy(update={"seat": "judge", "text": "hm"})
CALL = Call(model="grader-1", asked="Is olleh hello backwards?", answer="Yes. Score: 5")
PROPOSAL = Proposal(turn=TURN, draw="draw-7", draw_size=8, index=3)
TASK = Task(
    id=derive_id(RUN, "proposer", FIRST, 1),
    run=RUN,
    agent="proposer",
    created_at=AT,
    domain="reasoning_gym",
    family="spell_backward",
    level=5,
    prompt="spell_backward: hello =",
    question="Spell this word backward: hello",
    answer="olleh",
    metadata={"word": "hello", "length": 5},
    weights_version=1,
    granted_by=FIRST,
    source="self-instruct",
    proposal=PROPOSAL,
)
ATTEMPT = Attempt(
    id=derive_id(RUN, "solver", TASK.id),
    run=RUN,
    agent="solver-2",
    created_at=AT,
    task=TASK,
    samples=(Sample(turns=(TURN,)), Sample(turns=(FROZEN, TURN))),
    temperature=0.75,
    memory=12,
)
LESSON = Lesson(
    id=derive_id(RUN, "solver", TASK.id, 1),
    run=RUN,
    agent="solver-2",
    created_at=AT,
    task=TASK.id,
    attempt=ATTEMPT.id,
    sample=1,
    about="spell_backward/5",
    turn=JUDGED.model_copy(update={"seat": "reflection", "text": "begin with the last letter"}),
    forgets=(derive_id(RUN, "solver", FIRST, 1),),
)


def _verdict(reward: float, reason: str) -> Verdict:
    """Of two judges, the first of which could not tell."""
    model = Verdict(
        scores={"model": 0.0},
        reward=0.0,
        reason="the judge said neither",
        provenance="model",
        known=False,
        turn=JUDGED,
        call=CALL,
    )
    seats = {"first": -reward, "second": reward}
    exact = Verdict(
        scores={"exact": reward}, reward=reward, reason=reason, provenance="exact", seats=seats
    )
    return Verdict(
        scores={"model": 0.0, "exact": reward},
        reward=reward,
        reason=reason,
        provenance="first(model,exact)",
        known=True,
        turn=JUDGED,
        call=CALL,
        combined=(model, exact),
        seats=seats,
    )


EXAMPLES: dict[str, Event] = {
    event.type(): event
    for event in (
        TASK,
        Refusal(
            id=derive_id(RUN, "proposer", FIRST, 2),
            run=RUN,
            agent="proposer",
            created_at=AT,
            proposal=PROPOSAL,
            reason="duplicate",
            weights_version=1,
            granted_by=FIRST,
        ),
        ATTEMPT,
        LESSON,
        Judgment(
            id=derive_id(RUN, "critic", ATTEMPT.id),
            run=RUN,
            agent="critic-0",
            created_at=AT,
            attempt=ATTEMPT,
            verdicts=(
                _verdict(1.0, "right"),
                _verdict(0.0, "wrong"),
            ),
            critic="first(model,exact)",
            critic_version=2,
        ),
        Weights(
            id=SECOND,
            run=RUN,
            agent="trainer",
            created_at=AT,
            number=2,
            parent=1,
            parent_id=FIRST,
            location="checkpoints/000002",
            files={"model.safetensors": "9f" * 32},
            format="lora",
            step=2,
            epoch=3,
            positions={"judgments/0": ((0, 31), (33, 40))},
            trained=32,
            dropped=6,
            consumed=70,
            batch=(
                LevelCount(family="spell_backward", level=5, tasks=32, samples=256, correct=131),
            ),
            metrics={"loss": 0.125, "kl": 0.03125},
            seed=7,
            policy="challenger",
        ),
        Curriculum(
            id=derive_id(RUN, "proposer", SECOND),
            run=RUN,
            agent="proposer",
            created_at=AT,
            weights=SECOND,
            weights_version=2,
            source="curriculum",
            success={"spell_backward/5": 0.5},
            top={"spell_backward": 6},
            proposed=96,
            refused=4,
            objective=OBJECTIVE,
        ),
        Evaluation(
            id=derive_id(RUN, "evaluator", SECOND),
            run=RUN,
            agent="evaluator",
            created_at=AT,
            weights=SECOND,
            weights_version=2,
            scores=(
                SuiteScore(
                    suite="spell_backward", level=5, total=64, correct=40, low=0.5, high=0.734375
                ),
            ),
            held_out=0.625,
            seen=0.875,
            seconds=1.5,
            warmup_end=4,
            quantities={"kl_to_data": 0.25},
        ),
        Promotion(
            id=derive_id(RUN, "gate", SECOND),
            run=RUN,
            agent="gate",
            created_at=AT,
            weights=SECOND,
            weights_version=2,
            decision="promoted",
            reasons=("held-out 0.50 -> 0.63",),
        ),
        Watermark(
            id=derive_id(RUN, "archivist", "archive"),
            run=RUN,
            agent="archivist",
            created_at=AT,
            location="archive",
            ends={"judgments/0": 31, "weights/0": 3},
            digest="7d" * 32,
        ),
        Control(
            id=derive_id(RUN, "operator", "start"),
            run=RUN,
            agent="operator",
            created_at=AT,
            command="start",
            role="trainer",
            weights_version=2,
            seed=7,
            settings={"recipe": "grpo"},
            plugins=(
                Plugin(name="riddles", sha256="5c" * 32, parts=("domain/riddles", "judge/sphinx")),
            ),
            guard="floor",
            reason="the entropy of a token fell",
            parent=Parent(
                run="demo-1", place="runs/demo/log.sqlite", version=2, ends={"weights/0": 3}
            ),
        ),
        DeadLetter(
            id=derive_id(RUN, "solver", "tasks/1/17"),
            run=RUN,
            agent="solver",
            created_at=AT,
            origin_topic="tasks",
            origin_partition=1,
            origin_offset=17,
            group="solver",
            reason="unknown event type 'evolvent.riddle'",
            value="e30=",
            headers={"ce_type": "evolvent.riddle"},
        ),
    )
}
