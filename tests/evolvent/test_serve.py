"""`evolvent serve` as a process: killed in the middle of swaps, stopped, misused; and a whole run
whose agents ask it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from openai import OpenAI

from agents.engines.config import LocalConfig, ServerConfig, VllmConfig
from agents.engines.engine import Completion, EngineUnusable, Request
from agents.engines.server.wire import TOKEN_VARIABLE
from agents.policies.config import BUILT_IN
from agents.policies.follower import PolicyFollower
from bus.events import Weights
from bus.versions import Versions
from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from evolvent.serve import hosted
from harness.broker import free_port
from tests.agents.asking import weights
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    reference_logprobs,
    request,
    save_checkpoint,
)
from tests.agents.engines.host.metrics_page import numbers
from tests.agents.engines.serving import agent
from tests.evolvent.conftest import EVOLVENT, evolvent

_START_SECONDS = 150
_TOKEN = "s3cret"


class Served:
    """The process of one `evolvent serve`; `said` is the file of what it tells."""

    def __init__(
        self,
        run: Path,
        port: int,
        said: Path,
        settings: Sequence[str] = (),
        policy: str = "current",
    ) -> None:
        words = [word for setting in settings for word in ("--set", setting)]
        self.url = f"http://127.0.0.1:{port}"
        self.said = said
        with said.open("ab") as log:
            self.process = subprocess.Popen(
                [EVOLVENT, "serve", str(run), "--port", str(port), "--policy", policy, *words],
                stdout=log,
                stderr=log,
            )

    @property
    def healthy(self) -> bool:
        try:
            with urlopen(self.url + "/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    async def ready(self) -> None:
        deadline = monotonic() + _START_SECONDS
        while not await asyncio.to_thread(lambda: self.healthy):
            assert self.process.poll() is None, self.said.read_text()
            assert monotonic() < deadline, self.said.read_text()
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def served(
    run: Path, port: int, said: Path, settings: Sequence[str], policy: str = "current"
) -> Iterator[list[Served]]:
    """The servers started one after the other; whatever runs at the end is killed."""
    servers = [Served(run, port, said, settings, policy)]
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run whose log a test writes itself."""
    folder = tmp_path / "run"
    RunFolder(folder).create(load_recipe("words"))
    return folder


def version(run: Path, number: int) -> tuple[Weights, Checkpoint]:
    checkpoint = save_checkpoint(run / f"v{number}", number % 3)
    event = weights(number, location=f"v{number}").model_copy(update={"files": checkpoint.files})
    return event, checkpoint


HOSTED = [
    pytest.param("engine.type=local", 2, id="local"),
    pytest.param("engine.type=vllm", 1, id="vllm", marks=pytest.mark.vllm),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("setting", "kills"), HOSTED)
def test_a_server_killed_in_mid_swap_loses_nothing(
    run: Path, tmp_path: Path, setting: str, kills: int
) -> None:
    port, folder = free_port(), RunFolder(run)
    answers: list[tuple[int, Request, list[Completion]]] = []

    async def answered(count: int) -> None:
        async with asyncio.timeout(120):
            while len(answers) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def scenario(servers: list[Served]) -> None:
        async with folder.log(writable=True) as bus, agent(servers[0].url) as engine:
            events = [version(run, number) for number in range(2 * kills + 1)]
            await bus.publish([events[0][0]])
            await servers[0].ready()
            await engine.swap(0, events[0][1].folder, events[0][1].files)
            finished = asyncio.Event()

            async def caller(number: int) -> None:
                while not finished.is_set():
                    asked = request(engine, "r" + "x" * (number % 7) + ">", n=4, max_tokens=60)
                    since = engine.version
                    answers.append((since, asked, await engine.generate(asked)))

            async with asyncio.TaskGroup() as group:
                for number in range(32):
                    group.create_task(caller(number))
                for kill in range(kills):
                    await answered(len(answers) + 40)
                    await bus.publish([events[2 * kill + 1][0]])
                    await asyncio.sleep((0.005, 0.02, 0.05)[kill])
                    servers[-1].kill()
                    servers.append(Served(run, port, tmp_path / "said.txt", [setting]))
                    await servers[-1].ready()
                    event, checkpoint = events[2 * kill + 2]
                    await bus.publish([event])
                    await engine.swap(event.number, checkpoint.folder, checkpoint.files)
                    assert engine.version == event.number
                await answered(len(answers) + 40)
                finished.set()
            for since, asked, made in answers:
                assert len(made) == asked.n
                assert all(span.version >= since for each in made for span in each.spans)
            seen = {span.version for *_, made in answers for span in made[0].spans}
            assert {0, 2 * kills} <= seen
            for _, asked, made in answers[-3:]:
                for span in made[0].spans:
                    said = reference_logprobs(
                        events[span.version][1].folder, asked.prompt_tokens, made[0]
                    )
                    ours = made[0].logprobs[span.start : span.end]
                    assert said[span.start : span.end] == pytest.approx(ours, abs=1e-4)

    with served(run, port, tmp_path / "said.txt", [setting]) as servers:
        asyncio.run(scenario(servers))


@pytest.mark.slow
def test_policies_are_served_side_by_side(run: Path, tmp_path: Path) -> None:
    async def scenario(servers: dict[str, Served]) -> None:
        made = [version(run, number) for number in range(4)]
        async with RunFolder(run).log(writable=True) as bus, AsyncExitStack() as stack:
            agents = {
                name: await stack.enter_async_context(agent(server.url))
                for name, server in servers.items()
            }
            followers = {
                name: PolicyFollower(bus, own, run, lambda swap: None, rule=BUILT_IN[name])
                for name, own in agents.items()
            }
            following = [asyncio.ensure_future(each.run()) for each in followers.values()]
            for newest, (event, _) in enumerate(made):
                await bus.publish([event])
                for name, follower in followers.items():
                    await asyncio.wait_for(follower.at_least(newest), _START_SECONDS)
                    own = agents[name]
                    [said] = await own.generate(request(own))
                    due = await asyncio.to_thread(BUILT_IN[name].due, Versions(bus.log))
                    assert due is not None
                    assert {span.version for span in said.spans} == {due.number}
            assert not any(each.done() for each in following)
            for each in following:
                each.cancel()

    settings, servers = ["engine.type=local"], {}
    with ExitStack() as stack:
        for name in BUILT_IN:
            said = tmp_path / f"{name}.txt"
            starting = served(run, free_port(), said, settings, name)
            [servers[name]] = stack.enter_context(starting)
        asyncio.run(scenario(servers))


@pytest.mark.slow
def test_told_to_stop_it_finishes_what_it_has(run: Path, tmp_path: Path) -> None:
    async def scenario(server: Served) -> None:
        async with RunFolder(run).log(writable=True) as bus, agent(server.url) as engine:
            event, checkpoint = version(run, 0)
            await bus.publish([event])
            await server.ready()
            await engine.swap(0, checkpoint.folder, checkpoint.files)
            asked = [
                asyncio.ensure_future(engine.generate(request(engine, n=64, max_tokens=100)))
                for _ in range(8)
            ]
            in_flight = 0.0
            while not in_flight:
                shown = await asyncio.to_thread(numbers, server.url)
                in_flight = shown["evolvent_samples_in_flight"]
            server.process.send_signal(signal.SIGTERM)
            made = await asyncio.wait_for(asyncio.gather(*asked), 20)
            assert [len(each) for each in made] == [64] * 8
            assert await asyncio.to_thread(server.process.wait, 20) == 0
            assert "finishing what is in flight" in server.said.read_text()

    with served(run, free_port(), tmp_path / "said.txt", ["engine.type=local"]) as [server]:
        asyncio.run(scenario(server))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("setting", [param.values[0] for param in HOSTED[:1]])
def test_a_run_survives_the_death_of_its_server(tiny: Path, tmp_path: Path, setting: str) -> None:
    port, run = free_port(), tmp_path / "run"
    settings = ["engine.type=server", f'engine.urls=["http://127.0.0.1:{port}"]']
    words = ["--recipe", str(tiny), "--dir", str(run)]
    words += [word for each in settings for word in ("--set", each)]
    assert evolvent("seed", *words).returncode == 0
    with served(run, port, tmp_path / "said.txt", [setting]) as servers:
        asyncio.run(servers[0].ready())
        evolving = subprocess.Popen(
            [EVOLVENT, "run", *words, "--budget", "25s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = monotonic() + 100
        while _newest(run) < 5:
            assert monotonic() < deadline
        killed_at = _newest(run)
        servers[0].kill()
        servers.append(Served(run, port, tmp_path / "said.txt", [setting]))
        shown, _ = evolving.communicate(timeout=200)
        assert evolving.returncode == 0, shown[-2000:]
    audited = evolvent("audit", str(run))
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert _newest(run) > killed_at + 1


def _newest(run: Path) -> int:
    return len(list(run.glob("checkpoints/v*"))) - 1


@pytest.mark.slow
def test_people_and_programs_ask_a_server(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions under OpenAI's API; `evolvent ask` goes there, and knows when it cannot."""

    async def scenario(server: Served) -> None:
        async with RunFolder(run).log(writable=True) as bus:
            await bus.publish([version(run, number)[0] for number in range(2)])
            await server.ready()
            client = OpenAI(base_url=server.url + "/v1", api_key=_TOKEN, max_retries=0)
            for number in (1, 0):
                said = await asyncio.to_thread(
                    client.completions.create,
                    model=f"v{number}",
                    prompt="rcanoe>",
                    max_tokens=7,
                    temperature=0,
                )
                asked = await asyncio.to_thread(
                    evolvent, "ask", str(run), "canoe", "--version", str(number), "--json"
                )
                [answer] = json.loads(asked.stdout)
                assert said.model == f"v{number}"
                assert answer["completion"] == said.choices[0].text
                assert (answer["version"], answer["prompt"]) == (number, "rcanoe>")
            async with agent(server.url) as stranger:
                _, checkpoint = version(run, 1)
                with pytest.raises(EngineUnusable, match="needs its token: set EVOLVENT_SERVE_TOK"):
                    await stranger.swap(1, checkpoint.folder, checkpoint.files)
            with ThreadPoolExecutor(1) as executor:
                known = ServerConfig(urls=(server.url,)).build(executor, 0)
                await known.swap(1, checkpoint.folder, checkpoint.files)
                assert await known.generate(request(known))
                await known.close()
        code = "import sys; from evolvent.cli import main; code = main(sys.argv[1:])\n"
        loaded = "sys.exit(code or 3 * ('torch' in sys.modules))"
        light = [sys.executable, "-c", code + loaded, "ask", str(run), "canoe"]
        assert (await asyncio.to_thread(subprocess.run, light, check=False)).returncode == 0
        elsewhere = await asyncio.to_thread(
            evolvent, "ask", str(run), "canoe", "--server", "http://127.0.0.1:1"
        )
        assert elsewhere.returncode == 2 and "does not answer" in elsewhere.stderr

    monkeypatch.setenv(TOKEN_VARIABLE, _TOKEN)
    settings = ["engine.type=local"]
    with served(run, free_port(), tmp_path / "said.txt", settings) as [server]:
        asyncio.run(scenario(server))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert not (run / "servers").exists()


def test_beyond_loopback_a_token_is_needed(run: Path) -> None:
    for host in ("0.0.0.0", "::"):
        done = evolvent("serve", str(run), "--port", "0", "--host", host)
        assert done.returncode == 2
        assert "give --token or set EVOLVENT_SERVE_TOKEN" in done.stderr
    odd = evolvent("serve", str(run), "--port", "0", "--token", "two words")
    assert odd.returncode == 2 and "without spaces" in odd.stderr


def test_a_port_in_use_is_said_before_anything_is_loaded(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = evolvent("serve", str(run), "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use: choose another" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--host", "192.0.2.1", "--token", "x"), "cannot listen at 192.0.2.1"),
        (("--set", "engine.type=server"), "a server cannot host engine.type = server"),
        (("--set", "engine.type=nothing"), "engine.type = 'nothing'"),
        (("--set", "engine.max_rows=0"), "engine.max_rows = 0"),
        (("--set", "engine"), "write it as section.field=value"),
        (("--policy", "next"), "there is no policy next: there are current, previous, promoted"),
    ],
)
def test_what_a_user_may_mistype_is_one_sentence(
    run: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = evolvent("serve", str(run), "--port", "0", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") <= 2


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    done = evolvent("serve", str(tmp_path / "none"))
    assert (done.returncode, "is not a run" in done.stderr) == (2, True)


def test_what_is_hosted_follows_from_the_recipe() -> None:
    current = BUILT_IN["current"]
    assert hosted(load_recipe("words"), current, []) == LocalConfig()
    asks = load_recipe("words", ["engine.type=server"])
    assert asks.engine == ServerConfig()
    assert hosted(asks, current, []) == VllmConfig()
    assert hosted(asks, current, ["engine.max_rows=8"]) == VllmConfig(max_rows=8)
    assert hosted(asks, current, ["engine.max_rows=8", "engine.type=local"]) == LocalConfig(
        max_rows=8
    )
    own = load_recipe("words", ["policies.mine.engine.max_rows=4"])
    assert hosted(own, own.policy("mine"), []) == LocalConfig(max_rows=4)
    assert hosted(own, own.policy("mine"), ["engine.inflight=keep"]) == LocalConfig(
        max_rows=4, inflight="keep"
    )


def test_urls_are_checked() -> None:
    for wrong in ("[]", '["localhost:1"]', '["http://a:1", "http://a:1"]'):
        with pytest.raises(UsageError, match="name "):
            load_recipe("words", ["engine.type=server", f"engine.urls={wrong}"])
