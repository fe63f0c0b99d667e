"""Texts as codes of their characters, and back."""

import numpy as np
import pyarrow as pa
import pytest

from aecli.features.layout import lay_out
from aecli.features.reader import CellReader
from aecli.features.text.characters import CharacterCodes, fit_characters
from aecli.schema.model_spec import Column


def column(alphabet: str, length: int) -> Column:
    return Column(
        name="name", kind="characters", type="string", alphabet=alphabet, modes=[0] * length,
        reason="text",
    )  # fmt: skip


def fitted(texts: list[str]) -> Column:
    text = column("", 1).model_copy(update={"kind": "text", "modes": []})
    return fit_characters(text, pa.array(texts))


ALPHABET = "abé北🙂שׁ "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab", "ab"),
        ("", ""),
        ("é北🙂", "é北🙂"),
        ("שׁ", "שׁ"),
        ("abba b", "abba"),
        ("axb", "a\ufffdb"),
        ("a\0b", "a\ufffdb"),
        (" a ", " a "),
        ("a" * 10_000_000, "aaaa"),
    ],
)
def test_codes_return_the_first_characters_and_one_symbol_for_those_outside_of_the_alphabet(
    text: str, expected: str
) -> None:
    codes = CharacterCodes(column(ALPHABET, 4))
    cells = codes.read(pa.array([text]))
    assert codes.texts(np.nan_to_num(cells).astype(int)).to_pylist() == [expected]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["ab", None, ""]),
        pa.array(["ab", None, ""], pa.large_string()),
        pa.array(["ab", None, ""]).dictionary_encode(),
    ],
)
def test_cells_are_missing_behind_the_end_and_without_a_text(array: pa.Array) -> None:
    reader = CellReader([column("ab", 4)])
    cells = reader.read(pa.record_batch([array], ["name"]))
    nan = np.nan
    np.testing.assert_equal(cells, [[0, 1, 3, nan], [nan] * 4, [3, nan, nan, nan]])


def test_length_covers_nearly_all_texts_and_the_alphabet_repeated_characters() -> None:
    short = fitted(["ab", "ba", "ac", "b"])
    assert (short.length, short.alphabet) == (2, "ab")
    # The second position is most often an a, then there is no character anymore.
    assert short.modes == [0, 0]
    assert fitted(["ab"] * 99 + ["b" * 10]).length == 2
    assert fitted(["ab" * 500, "ba" * 500]).length == 64


def test_layout_has_a_cell_per_character_and_an_output_per_code() -> None:
    layout = lay_out([column("abc", 4), column("de", 3).model_copy(update={"name": "other"})])
    assert (layout.cells, layout.outputs) == (7, 4 * 5 + 3 * 4)
    assert layout.column_of == (0, 0, 0, 0, 1, 1, 1)
    assert layout.output_widths == (20, 12)
