"""What is asked next: the rule curriculum, a model in the proposer's role, and chance."""

import asyncio
from collections import Counter
from random import Random

import pytest

from agents.domains.strings import StringsConfig
from agents.sources.curriculum import Curriculum, CurriculumConfig
from agents.sources.learned import Learned, LearnedConfig
from agents.sources.source import Draw
from agents.sources.uniform import Uniform
from bus.bus import Bus
from bus.events import LevelCount
from bus.memory.bus import MemoryBus
from tests.agents.asking import DOMAIN, engine, says, task
from tests.agents.parts import parts_for


def rule() -> Curriculum:
    return Curriculum(DOMAIN, CurriculumConfig())


def count(level: int, share: float, tasks: int = 8, family: str = "reverse") -> LevelCount:
    samples = tasks * 10
    return LevelCount(
        family=family, level=level, tasks=tasks, samples=samples, correct=round(samples * share)
    )


def levels(draw: Draw) -> Counter[tuple[str, int]]:
    return Counter((draft.problem.family, draft.problem.level) for draft in draw.drafts)


def test_the_rule_begins_one_level_above_the_warm_up() -> None:
    source = rule()
    drawn = levels(asyncio.run(source.draw(600, Random(0), 0, "d")))
    assert {level for _, level in drawn} == {1, 2, 3}
    assert drawn["reverse", 3] > drawn["reverse", 1]


def test_the_frontier_moves_on_with_success_and_never_back() -> None:
    source = rule()
    source.fold([count(4, 0.9)])
    assert source.state.top["reverse"] == 5 > source.state.top["sort"]
    source.fold([count(3, 0.0), count(4, 0.0), count(5, 0.0)])
    assert source.state.top["reverse"] == 5
    for _ in range(20):
        source.fold([count(level, 1.0) for level in DOMAIN.levels])
    assert source.state.top["reverse"] == 6


def test_the_frontier_moves_over_levels_that_are_not_there() -> None:
    config = StringsConfig(families=("reverse",), levels=(2, 4, 8, 12), warmup_levels=(2, 4))
    source = Curriculum(config.build(), CurriculumConfig())
    assert source.state.top["reverse"] == 8
    for top in (12, 12):
        source.fold([count(level, 1.0) for level in (4, 8)])
        assert source.state.top["reverse"] == top


def test_the_rule_keeps_to_the_levels_that_are_named() -> None:
    source = CurriculumConfig(levels=(4, 1, 2)).build(parts_for())
    for _ in range(20):
        source.fold([count(level, 1.0) for level in DOMAIN.levels])
    assert source.state.top["reverse"] == 4
    drawn = levels(asyncio.run(source.draw(600, Random(0), 0, "d")))
    assert {level for _, level in drawn} == {1, 2, 4}
    with pytest.raises(ValueError, match=r"levels \[9\] are not among those of the domain"):
        CurriculumConfig(levels=(1, 9)).build(parts_for())


def test_without_a_warm_up_the_rule_begins_at_the_lowest_level() -> None:
    config = StringsConfig(families=("reverse",), levels=(2, 4), warmup_levels=())
    source = Curriculum(config.build(), CurriculumConfig())
    assert set(levels(asyncio.run(source.draw(50, Random(0), 0, "d")))) == {("reverse", 2)}
    source.fold([count(2, 0.9)])
    assert source.state.top["reverse"] == 4


def test_a_level_between_never_and_always_is_asked_most() -> None:
    source = rule()
    for _ in range(12):
        source.fold([count(1, 1.0), count(2, 1.0), count(3, 0.5), count(4, 0.0)])
    drawn = levels(asyncio.run(source.draw(2000, Random(0), 0, "d")))
    mine = {level: number for (family, level), number in drawn.items() if family == "reverse"}
    assert mine[3] > 3 * max(mine[1], mine[2], mine[4])
    assert min(mine.values()) > 0


def test_a_few_tasks_weigh_less_than_many() -> None:
    few, many = rule(), rule()
    few.fold([count(3, 1.0, tasks=1)])
    many.fold([count(3, 1.0, tasks=8)])
    assert 0.3 < few.state.success["reverse/3"] < many.state.success["reverse/3"] < 1


def test_a_level_that_the_domain_does_not_have_is_passed_over() -> None:
    source = rule()
    source.fold([])
    before = source.state
    source.fold([count(99, 1.0), count(1, 0.0, family="unknown")])
    assert source.state == before


def test_the_fold_goes_on_from_its_state() -> None:
    whole, again = rule(), rule()
    whole.fold([count(3, 0.9)])
    again.restore(whole.state)
    for source in (whole, again):
        source.fold([count(4, 0.4), count(3, 0.7)])
    assert again.state == whole.state
    draws = [asyncio.run(source.draw(20, Random(1), 0, "d")) for source in (whole, again)]
    assert draws[0] == draws[1]


def test_chance_asks_everything_alike() -> None:
    drawn = levels(asyncio.run(Uniform(DOMAIN).draw(2400, Random(0), 0, "d")))
    assert len(drawn) == 12
    assert 120 < min(drawn.values()) <= max(drawn.values()) < 280


def test_chance_may_ask_some_levels_alone() -> None:
    drawn = levels(asyncio.run(Uniform(DOMAIN, (2, 5)).draw(100, Random(0), 0, "d")))
    assert {level for _, level in drawn} == {2, 5}


def learned(text: str | None = None, bus: Bus | None = None, share: float = 1.0) -> Learned:
    """A model that always writes `text`, or else some digits to reverse, from 1 to 6."""

    def writes(prompt: str, version: int, random: Random) -> str:
        assert prompt == DOMAIN.proposer_prompt()
        return "r" + "".join(random.choices("0123456789", k=random.randrange(1, 7)))

    own = engine(writes if text is None else says(text))
    return LearnedConfig(share=share).build(parts_for(engine=own, bus=bus))


def test_what_the_model_writes_well_is_asked() -> None:
    draw = asyncio.run(learned().draw(40, Random(0), 0, "draw"))
    assert len(draw.drafts) == 40
    own = [draft for draft in draw.drafts if draft.source == "learned"]
    assert len(own) > 20
    for draft in own:
        assert draft.proposal is not None
        assert draft.proposal.turn.text == DOMAIN.write(draft.problem)
        assert (draft.proposal.draw, draft.proposal.draw_size) == ("draw", 40)
        assert draft.problem.answer == DOMAIN.pose(draft.proposal.turn.text).answer
    prompts = [draft.problem.prompt for draft in own]
    assert len(set(prompts)) == len(prompts)
    indices = [draft.proposal.index for draft in own if draft.proposal]
    indices += [refused.proposal.index for refused in draw.refused]
    assert sorted(indices) == list(range(40))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "unparseable"),
        ("x12", "unknown family"),
        ("r1234567", "out of range"),
        ("r" + "1" * 60, "not ended"),
        (DOMAIN.write(DOMAIN.held_out("reverse", 5, 1)[0]), "held-out"),
    ],
)
def test_what_is_no_task_is_refused_and_the_rule_fills_up(text: str, reason: str) -> None:
    draw = asyncio.run(learned(text).draw(10, Random(0), 0, "draw"))
    assert {refused.reason for refused in draw.refused} == {reason}
    assert len(draw.refused) == 10
    assert [draft.source for draft in draw.drafts] == ["curriculum"] * 10


def test_a_task_is_asked_once_in_a_draw() -> None:
    draw = asyncio.run(learned("r12345").draw(5, Random(0), 0, "draw"))
    assert [draft.source for draft in draw.drafts] == ["learned"] + ["curriculum"] * 4
    assert [refused.reason for refused in draw.refused] == ["duplicate"] * 4


def test_a_hard_task_is_asked_once_in_a_run_and_an_easy_one_in_every_draw() -> None:
    for text, own in (("r12345", 1), ("r12", 2)):
        source = learned(text)
        draws = [asyncio.run(source.draw(1, Random(0), 0, f"draw {i}")) for i in range(2)]
        asked = [draft.source for draw in draws for draft in draw.drafts]
        assert asked.count("learned") == own


def test_what_the_log_has_asked_is_known_after_a_restart() -> None:
    bus = MemoryBus()
    asyncio.run(bus.publish([task("r12345")]))
    source = learned("r12345", bus)
    source.restore(source.state)
    draw = asyncio.run(source.draw(1, Random(0), 0, "draw"))
    assert [refused.reason for refused in draw.refused] == ["duplicate"]


def test_a_share_of_the_draw_is_the_rules() -> None:
    draw = asyncio.run(learned(share=0.25).draw(40, Random(0), 0, "draw"))
    assert len(draw.drafts) == 40
    own = sum(draft.source == "learned" for draft in draw.drafts)
    assert own + len(draw.refused) == 10


def test_a_draw_of_nothing_asks_the_model_nothing() -> None:
    draw = asyncio.run(learned().draw(0, Random(0), 0, "draw"))
    assert draw.drafts == ()
