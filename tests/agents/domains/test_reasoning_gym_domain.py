"""reasoning-gym: its catalogue without importing it, words in a short prompt, other datasets."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from agents.domains.domain import NotATask
from agents.domains.gym_catalog import dataset_files, parameter_names
from agents.domains.reasoning_gym import ReasoningGym, ReasoningGymConfig


def words(**changes: Any) -> ReasoningGym:
    fields: dict[str, Any] = {
        "dataset": "spell_backward",
        "levels": tuple(range(1, 11)),
        "level_parameters": ("min_word_len", "max_word_len"),
        "prompt": "r{word}>",
        "held_out_from": 4,
    }
    return ReasoningGymConfig(**fields | changes).build()


def one_level(dataset: str, **parameters: Any) -> ReasoningGym:
    return ReasoningGymConfig(dataset=dataset, levels=(1,), parameters=parameters).build()


def test_the_catalogue_is_what_reasoning_gym_registers() -> None:
    import reasoning_gym  # noqa: F401 - whole: its factory may know those alone that were asked for
    from reasoning_gym.factory import DATASETS

    assert set(dataset_files()) == set(DATASETS) - {"composite"}
    for name, (_, config) in DATASETS.items():
        if name != "composite":
            assert parameter_names(name) == set(config.__dataclass_fields__) - {"seed", "size"}


def test_the_docstring_example() -> None:
    problem = words().pose("canroyer")
    assert (problem.prompt, problem.answer, problem.level) == ("rcanroyer>", "reyornac", 8)
    assert problem.question == "Spell this word backward (example: sun -> nus): canroyer"


def test_a_user_may_type_the_whole_prompt_or_a_longer_word() -> None:
    domain = words()
    assert domain.pose("rcanroyer>") == domain.pose(" Canroyer ") == domain.pose("canroyer")
    longer = domain.pose("counterrevolutionary")
    assert (longer.level, domain.max_answer_tokens(20)) == (20, 22)
    assert domain.score(longer, longer.answer, ended=True).value == 1.0
    for question in ("", "two words", "naïve", "a" * 61):
        with pytest.raises(NotATask, match="is not a word of 1 to 60 letters"):
            domain.pose(question)


def test_words_are_plain_and_come_from_the_dictionary_where_it_has_some() -> None:
    domain = words()
    dictionary = Path(str(dataset_files()["spell_backward"])).parents[1] / "data/words3to10.txt"
    known = set(dictionary.read_text(encoding="utf-8").lower().split())
    for level in domain.levels:
        for seed in range(50):
            word = domain.make("spell_backward", level, Random(seed)).prompt[1:-1]
            assert word.isascii() and word.islower() and word.isalpha() and len(word) == level
            assert level < 3 or word in known


def test_two_letters_and_more_than_ten_are_random_letters() -> None:
    domain = words(levels=(2, 12))
    made = {domain.make("spell_backward", 12, Random(seed)).prompt for seed in range(100)}
    assert len(made) > 90
    assert domain.make("spell_backward", 2, Random(1)).answer.isalpha()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unparseable"),
        ("r", "unparseable"),
        ("canroyer", "unparseable"),
        ("rcanroyer>", "unparseable"),
        ("rcan royer", "unparseable"),
        ("rCanroyer", "unparseable"),
        ("rabcdefghijk", "out of range"),
    ],
)
def test_what_a_model_writes_wrongly_is_refused(text: str, reason: str) -> None:
    with pytest.raises(NotATask, match=f"^{reason}$"):
        words().read(text)


def test_any_letters_are_a_task_that_the_third_party_solves() -> None:
    assert words().read("rxqzzy").answer == "yzzqx"


def test_part_of_a_word_is_partly_right() -> None:
    domain = words()
    score = domain.score(domain.pose("abcd"), "dcxx", ended=True)
    assert (score.value, score.reason) == (0.5, "partly right")


@pytest.mark.parametrize(
    "word", ["vengeous", "vengeousl", "vengeously", "a", "counterrevolutionary"]
)
def test_a_right_answer_with_a_surplus_is_not_right(word: str) -> None:
    domain = words()
    problem = domain.pose(word)
    assert domain.score(problem, problem.answer + "x", ended=True).value <= 0.99


@pytest.mark.parametrize(
    ("domain", "wrong"),
    [
        (one_level("chain_sum", min_terms=3, max_terms=3), "no number"),
        (one_level("basic_arithmetic", min_terms=2, max_terms=2), "999999"),
        (one_level("simple_equations"), "x"),
        (one_level("letter_counting"), "999"),
        (one_level("prime_factorization"), "no number"),
        (one_level("gsm_symbolic"), "-1"),
        (one_level("kakurasu"), "0 0"),
        (one_level("rearc"), "0 0"),
    ],
    ids=lambda part: part.families[0] if isinstance(part, ReasoningGym) else "",
)
def test_other_datasets_ask_their_question_and_judge_by_their_own_scorer(
    domain: ReasoningGym, wrong: str
) -> None:
    problem = domain.make(domain.families[0], 1, Random(1))
    assert problem.prompt == problem.question
    assert domain.score(problem, problem.answer, ended=True).value == 1.0
    assert domain.score(problem, wrong, ended=True).value < 0.1
    assert domain.max_answer_tokens(1) > len(problem.answer)


def test_room_follows_from_the_answers_and_no_problem_is_longer() -> None:
    domain = one_level("basic_arithmetic", min_terms=2, max_terms=3)
    suite = domain.held_out("basic_arithmetic", 1, 64)
    assert max(len(problem.answer) for problem in suite) < domain.max_answer_tokens(1) < 32
    longest = max(len(problem.prompt) for problem in suite)
    random = Random(5)
    for _ in range(200):
        problem = domain.make("basic_arithmetic", 1, random)
        assert len(problem.answer) + 1 < domain.max_answer_tokens(1)
        assert len(problem.prompt) <= longest + 2
    unknown = one_level("boxnet")
    assert unknown.make("boxnet", 1, Random(1)).answer == ""
    assert unknown.max_answer_tokens(1) == 256


def test_a_question_of_ones_own_has_no_known_answer() -> None:
    domain = one_level("chain_sum")
    problem = domain.pose("What is 2 + 2?")
    assert (problem.prompt, problem.answer) == ("What is 2 + 2?", "")
    assert domain.score(problem, "4", ended=True).reason == "no known answer"
    with pytest.raises(NotATask, match="unparseable"):
        domain.read("What is 2 + 2?")


@pytest.mark.parametrize(
    ("dataset", "attack"),
    [
        ("countdown", "open({path!r}, 'w')"),
        ("countdown", "exec(chr(111))"),
        ("spiral_matrix", "[open({path!r}, 'w')]"),
        ("binary_matrix", "[[re.enum.sys.exit(1)]]"),
    ],
)
def test_an_answer_is_never_run(dataset: str, attack: str, tmp_path: Path) -> None:
    domain = one_level(dataset)
    problem = domain.make(dataset, 1, Random(1))
    path = tmp_path / "written"
    score = domain.score(problem, attack.format(path=str(path)), ended=True)
    assert (score.value, score.reason) == (0.0, "unreadable")
    assert not path.exists()
    assert domain.score(problem, problem.answer, ended=True).value == 1.0


def test_a_level_without_room_for_held_out_problems_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="level 1 that is not held out: raise held_out_from"):
        words(held_out_from=1).make("spell_backward", 1, Random(1))


def test_parameters_out_of_range_name_the_dataset() -> None:
    with pytest.raises(
        ValueError, match=r"chain_sum does not take the parameters .*'min_terms': 0"
    ):
        one_level("chain_sum", min_terms=0).make("chain_sum", 1, Random(1))


def test_any_dataset_can_have_a_short_prompt() -> None:
    parameters = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    config = ReasoningGymConfig(
        dataset="chain_sum", levels=(1,), parameters=parameters, prompt="c{expression}>"
    )
    problem = config.build().make("chain_sum", 1, Random(1))
    assert problem.prompt[1:-1] in problem.question
    assert eval(problem.prompt[1:-1]) == int(problem.answer)


def test_a_prompt_over_a_field_that_entries_lack_names_those_they_have() -> None:
    config = ReasoningGymConfig(dataset="chain_sum", levels=(1,), prompt="c{formula}>")
    with pytest.raises(ValueError, match=r"whose metadata fields are .*expression"):
        config.build().make("chain_sum", 1, Random(1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "spell_backwards"}, "'spell_backwards'; did you mean spell_backward"),
        ({"dataset": "zzzzzz"}, "allowed are .*chain_sum"),
        ({"dataset": "codeio"}, "none can be held out"),
        ({"dataset": "knight_swap"}, "set PYTHONHASHSEED=0"),
        (
            {"level_parameters": ["length"]},
            "no parameter length; allowed are data_file, max_word_len",
        ),
        ({"level_parameters": []}, "levels do not differ"),
        ({"level_parameters": ["min_word_len"]}, "a level of spell_backward is a word length"),
        ({"warmup_levels": [11]}, r"warmup_levels \[11\] are not among levels"),
        ({"difficulty": {12: {}}}, r"difficulty \[12\] are not among levels"),
        ({"levels": [2, 1]}, "ascend"),
        ({"prompt": "word>"}, "names no metadata field"),
        ({"prompt": "r{word}{answer}>"}, "the one field {word}"),
        ({"short": True}, "Extra inputs"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    fields: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    right: dict[str, Any] = {
        "dataset": "spell_backward",
        "levels": [1, 2, 3],
        "level_parameters": ["min_word_len", "max_word_len"],
        "prompt": "r{word}>",
    }
    ReasoningGymConfig.model_validate(right)
    with pytest.raises(ValidationError, match=message):
        ReasoningGymConfig.model_validate(right | fields)


@pytest.mark.parametrize(
    ("form", "typed", "prompt"),
    [
        (None, "how many?", "how many?"),
        ("{expression}=", "1 + 2", "1 + 2="),
        ("{expression}=", "1 + 2=", "1 + 2="),
        ("q{expression}>", "7", "q7>"),
        ("{expression} of {num_terms}", "1 of 2", "1 of 2"),
    ],
)
def test_what_a_person_types_is_put_in_the_form_of_the_prompt(
    form: str | None, typed: str, prompt: str
) -> None:
    config = ReasoningGymConfig(
        dataset="basic_arithmetic", levels=(1,), level_parameters=("min_terms",), prompt=form
    )
    assert config.build().pose(typed).prompt == prompt


def test_a_form_of_several_fields_is_typed_whole() -> None:
    config = ReasoningGymConfig(
        dataset="basic_arithmetic", levels=(1,), level_parameters=("min_terms",), prompt="{a} {b}>"
    )
    with pytest.raises(NotATask, match="write it so, or as --raw"):
        config.build().pose("1")
