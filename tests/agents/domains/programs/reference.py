"""The micro-language once more, over lists of integers and written from its page in docs/, so that
a fault of one of the two shows."""

MAX_VALUE = 64


def evaluate(program: str, value: str) -> str:
    digits = [ord(digit) - ord("0") for digit in value]
    for letter in program:
        digits = step(letter, digits)[:MAX_VALUE]
    return "".join(map(str, digits))


def step(letter: str, xs: list[int]) -> list[int]:  # noqa: PLR0911, PLR0912
    match letter:
        case "r":
            return [xs[len(xs) - 1 - place] for place in range(len(xs))]
        case "s":
            return [digit for digit in range(10) for _ in range(xs.count(digit))]
        case "u":
            return [digit for place, digit in enumerate(xs) if digit not in xs[:place]]
        case "a":
            return [xs[(place + 1) % len(xs)] for place in range(len(xs))]
        case "h" | "l":
            place = 0 if letter == "h" else len(xs) - 1
            return [xs[place]] if xs else []
        case "t" | "i":
            gone = 0 if letter == "t" else len(xs) - 1
            return [digit for place, digit in enumerate(xs) if place != gone]
        case "e" | "o":
            return [
                digit
                for digit in xs
                if digit in ((0, 2, 4, 6, 8) if letter == "e" else (1, 3, 5, 7, 9))
            ]
        case "d":
            return [*xs, *xs]
        case "m":
            return [*xs, *step("r", xs)]
        case "n":
            return [0 if digit == 9 else digit + 1 for digit in xs]
        case "c":
            return [9 - digit for digit in xs]
        case "b":
            return [(digit + digit) % 10 for digit in xs]
        case "p":
            return [sum(xs[: place + 1]) % 10 for place in range(len(xs))]
        case "f":
            return [(xs[place + 1] - xs[place]) % 10 for place in range(len(xs) - 1)]
        case "g":
            return step("s", xs)[-1:]
        case "k":
            return digits_of(len(xs), 1)
        case "q":
            return digits_of(sum(xs), 1)
        case "j":
            return digits_of(number_of(xs) + 1, len(xs))
        case "w":
            return digits_of(number_of(xs) * 2, len(xs))
        case "v":
            return digits_of((number_of(xs) - number_of(xs) % 2) // 2, len(xs))
    raise AssertionError(f"the language has no {letter}")


def number_of(xs: list[int]) -> int:
    return sum(digit * 10**power for power, digit in enumerate(reversed(xs)))


def digits_of(number: int, least: int) -> list[int]:
    digits: list[int] = []
    while number or len(digits) < max(least, 1):
        number, digit = divmod(number, 10)
        digits.insert(0, digit)
    return digits
