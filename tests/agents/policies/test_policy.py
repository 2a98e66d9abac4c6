"""Drawing turns from a policy: whose they are, by which weights, and never half of a group."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

from agents.engines.engine import Completion, Engine, Prompt, Request, Swap
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policy, sample
from bus.memory.bus import MemoryBus
from tests.agents.asking import engine, says
from tests.agents.parts import parts_for
from tests.agents.policies.versions import checkpoint


class CutOff:
    """An engine that moves on a version while it draws: one sample of its first groups is cut."""

    def __init__(self, engine: Engine, groups: int) -> None:
        self._engine = engine
        self._groups = groups
        self.asked: list[Request] = []

    @property
    def version(self) -> int:
        return self._engine.version

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return self._engine.encode(prompt)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._engine.decode(tokens)

    async def generate(self, request: Request) -> list[Completion]:
        self.asked.append(request)
        made = await self._engine.generate(request)
        if len(self.asked) > self._groups:
            return made
        await self._engine.swap(self.version + 1, Path(), {})
        cut = Completion(tokens=(), logprobs=(), finish_reason="abort", spans=())
        return [cut, *made[1:]]

    async def swap(self, version: int, folder: Path, files: dict[str, str]) -> Swap:
        return await self._engine.swap(version, folder, files)

    async def close(self) -> None:
        await self._engine.close()


def test_a_turn_says_whose_it_is_and_by_which_weights() -> None:
    policy = parts_for(engine=engine(says("21"), version=4)).policy("reference")

    async def scenario() -> None:
        plain, other = [
            await policy.sample("r12>", 3, max_tokens=9),
            await policy.sample("r12>", max_tokens=9, seat="judge", trainable=False),
        ]
        assert [(turn.policy, turn.seat, turn.trainable) for turn in plain] == [
            ("reference", "", True)
        ] * 3
        [turn] = other
        assert (turn.policy, turn.seat, turn.trainable) == ("reference", "judge", False)
        assert turn.text == "21" and turn.finish_reason == "stop"
        assert policy.engine.decode(turn.prompt_tokens) == "r12>"
        assert [span.version for span in turn.spans] == [4]

    asyncio.run(scenario())


def test_a_group_of_which_a_sample_was_cut_off_is_drawn_anew_as_a_whole() -> None:
    def script(prompt: str, version: int, random: Random) -> str:
        return str(version)

    async def scenario() -> None:
        own = CutOff(engine(script), groups=2)
        turns = await sample(own, "r12>", 4, max_tokens=9, temperature=1.0)
        assert [turn.text for turn in turns] == ["2"] * 4
        assert {span.version for turn in turns for span in turn.spans} == {2}
        assert len(own.asked) == 3 and len(set(own.asked)) == 1

    asyncio.run(scenario())


def test_a_turn_says_how_it_was_drawn_and_its_text_ends_before_what_stopped_it() -> None:
    async def scenario() -> None:
        own = engine(says("12;34"))
        [turn] = await sample(
            own, "r12>", max_tokens=9, temperature=0.5, top_p=0.75, top_k=7, stop=(";",)
        )
        assert (turn.temperature, turn.top_p, turn.top_k, turn.whole) == (0.5, 0.75, 7, False)
        assert (turn.text, turn.finish_reason) == ("12", "stop")
        assert own.decode(turn.tokens) == "12;"
        assert len(turn.logprobs) == turn.spans[-1].end == len(turn.tokens)
        [greedy] = await sample(own, "r12>", max_tokens=9, temperature=0.0, top_p=0.5)
        # The likeliest token was taken: its log-probability is that among all.
        assert (greedy.temperature, greedy.whole, greedy.text) == (0.0, True, "12;34")

    asyncio.run(scenario())


def test_a_policy_draws_with_no_weights_older_than_is_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says("21"), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None)
        policy = Policy(name="current", engine=own, follower=follower)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        [turn] = await asyncio.wait_for(policy.sample("r12>", max_tokens=9), 10)
        assert turn.spans[0].version == 0
        late = asyncio.ensure_future(policy.sample("r12>", max_tokens=9, since=1))
        await asyncio.sleep(0.02)
        assert not late.done()
        await bus.publish([checkpoint(tmp_path, 1)])
        [turn] = await asyncio.wait_for(late, 10)
        assert turn.spans[0].version == 1
        following.cancel()

    asyncio.run(scenario())
