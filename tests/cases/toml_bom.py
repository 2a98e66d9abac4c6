"""A recipe that an editor saved with a byte order mark (usual on Windows) is refused as invalid
TOML."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, run_case, tiny_recipe


def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import UsageError, load_recipe

    plain = tiny_recipe(folder)
    wanted = load_recipe(str(plain))
    marked = folder / "marked.toml"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    try:
        same = load_recipe(str(marked)).digest == wanted.digest
    except UsageError as error:
        return FAULT, f"refused: {error}".replace(str(folder), "")
    return (HOLDS if same else FAULT), f"read, and the same recipe: {same}"


if __name__ == "__main__":
    run_case(case)
