"""Texts as vectors: what is near, what comes back, and what a damaged encoder says."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from aecli.errors import ModelError
from aecli.features.text.encoder import TextEncoder
from aecli.features.text.fit import fit_encoder
from aecli.features.text.multibyte import set_positions
from aecli.features.text.ngrams import BUCKETS, SIZES, ngram_counts
from aecli.features.text.reader import TextReader
from aecli.features.text.tensors import text_tensors, with_text_encoders
from aecli.features.text.vector_cache import MAX_VECTORS
from aecli.features.text.words import split_words, text_keys
from aecli.schema.model_spec import Column

KINDS = ("Palace", "Garden", "House", "Corner", "Kitchen")
NAMES = [f"{a} {b}" for a in ("Thai", "Old", "Café", "Привет", "東京の店", "مطعم") for b in KINDS]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return fit_encoder(pa.array(NAMES * 20), store=True)


def read(encoder: TextEncoder, texts: pa.Array) -> np.ndarray:
    return TextReader(encoder).read(texts)


def similarity(encoder: TextEncoder, one: str, other: str) -> float:
    a, b = read(encoder, pa.array([one, other])).astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("Thai Palace", "thai PALACE", "Old House"),
        ("Thai Palace", " Palace\u3000Thai ", "Old House"),
        ("Thai Palace", "Thai Palaces", "Thai Kitchen"),
        ("Café Corner", "CAFÉ Corner", "Old House"),
        ("Привет House", "ПРИВЕТ House", "Thai House"),
        ("東京の店 Palace", "東京 Palace", "Old Palace"),
        ("مطعم Garden", "مطعم  Garden", "Thai Garden"),
    ],
)
def test_texts_with_common_words_and_parts_of_words_are_near(
    encoder: TextEncoder, text: str, near: str, far: str
) -> None:
    assert similarity(encoder, text, near) > 0.7 > similarity(encoder, text, far)


def test_null_is_missing_and_text_without_known_ngrams_is_zero(encoder: TextEncoder) -> None:
    vectors = read(encoder, pa.array([None, "", "zzzz", "Thai Palace"]))
    assert np.isnan(vectors[0]).all()
    assert np.abs(vectors[1:3]).max() == 0
    assert np.linalg.norm(vectors[3]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
    ],
)
def test_a_vector_does_not_depend_on_type_batch_or_neighbours(
    encoder: TextEncoder, kind: pa.DataType
) -> None:
    texts = pa.array([*NAMES, None, *NAMES], pa.string())
    together = read(encoder, texts.cast(kind))
    apart = np.concatenate([read(encoder, texts.slice(i, 1)) for i in range(len(texts))])
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_vectors_are_the_same_after_more_words_than_are_kept(encoder: TextEncoder) -> None:
    used, texts = TextReader(encoder), pa.array([*NAMES, "Thai Thai House", "a" * 999])
    codes = pa.array([f"{i:x}{i % 97:x} Garden{i}" for i in range(MAX_VECTORS + 9)])
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(used.read, [codes, texts, codes.slice(9, 50_000), texts] * 2))
    for vectors in (
        *parts[1::2],
        used.read(texts),
        pickle.loads(pickle.dumps(used)).read(texts),
        encoder.encode(texts),
    ):
        np.testing.assert_allclose(vectors, read(encoder, texts), atol=1e-6)
    np.testing.assert_array_equal(parts[2], parts[0][9:50_009])
    # Many texts are kept now; a batch may have none.
    assert used.read(pa.array([], pa.string())).shape == (0, encoder.size)
    empty = pa.array([None, None], pa.string()).dictionary_encode()
    assert np.isnan(used.read(empty)).all()


@pytest.mark.parametrize("text", ["x Garden", "Garden " * 40, "Old  Old\tGarden Old", "\u2003é\n"])
def test_words_are_weighted_by_the_logarithm_of_their_count(
    encoder: TextEncoder, text: str
) -> None:
    counts = Counter(text.lower().split())
    words = encoder.ngrams(pa.array(counts, pa.large_string())).toarray()
    weighted = (1 + np.log(list(counts.values())))[:, None] * words
    expected = encoder.components @ weighted.sum(axis=0) / np.sqrt(np.square(weighted).sum() or 1)
    np.testing.assert_allclose(read(encoder, pa.array([text]))[0], expected, atol=2e-6)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_words_are_those_between_whitespace_in_lower_case(kind: pa.DataType) -> None:
    letters = [chr(point) for point in (*range(9, 300), *range(0x600, 0x630), 0x2003, 0x3000)]
    draws = np.random.default_rng(0)
    mixed = ["".join(draws.choice([*letters, *" " * 99], size)) for size in range(60)]
    odd = ["", "  ", " Thai  Palace\n", "a\u2028b\x00c\u3000", "", "東京の店 É😀", ""]
    for texts in (odd, mixed, ["Old"], ["x" * 40, "Old House"], ["", ""], []):
        expected = [re.split(r"[\x00-\x20\s]+", text.strip().lower()) for text in texts]
        expected = [[word for word in words if word] for words in expected]
        words = split_words(pa.array(["cut off", *texts], kind).slice(1))
        found = words.strings(np.arange(len(words.keys))).to_pylist()
        assert found == [word for part in expected for word in part]
        assert np.diff(words.ends).tolist() == [len(part) for part in expected]
        assert len(set(words.keys.tolist())) == len(set(found))


def test_every_character_is_in_the_lower_case_of_arrow() -> None:
    points = [*range(0x80, 0xD800), *range(0xE000, 0x20000), 0x20000, 0x10FFFF]
    points = [point for point in points if not chr(point).isspace()]
    # In one block with Kelvin (U+212A), whose lower case is shorter, and one by one.
    for part in (points, [0xC9], [0xE9, 0x416], [0x130], [0x23A], [0x1E9E], [0xFF21], [0x10400]):
        texts = pa.array([f"A{chr(point)} b{chr(point)}" for point in part])
        words = split_words(texts)
        found = words.strings(np.arange(len(words.keys))).to_pylist()
        assert found == " ".join(pc.utf8_lower(texts).to_pylist()).split(" ")


@pytest.mark.parametrize("share", [0, 0.005, 0.05, 0.3, 1])
def test_positions_of_a_mask_are_those_that_are_set(share: float) -> None:
    for size in (0, 1, 7, 8, 1003):
        mask = np.random.default_rng(size).random(size) < share
        assert set_positions(mask).tolist() == [i for i, is_set in enumerate(mask) if is_set]


def test_ngrams_are_counted_for_each_word() -> None:
    texts = ["aaaa", "b", "banana", "éàéàé", "x" * 60, "banana"]
    for repeats in (1, 3_000):
        counts = ngram_counts(pa.array(texts * repeats, pa.large_string()), np.arange(BUCKETS))
        assert counts.shape == (6 * repeats, BUCKETS)
        for i, text in enumerate(texts):
            padded = f"<{text}>"
            sizes = [(size, at) for size in SIZES for at in range(len(padded) - size + 1)]
            expected = Counter(padded[at : at + size] for size, at in sizes)
            row = slice(*counts.indptr[len(counts.indptr) - 7 + i :][:2])
            assert sorted(counts.data[row]) == sorted([1, *expected.values()])
            assert (np.diff(counts.indices[row]) > 0).all()
        first, last = counts[[2, -1]].toarray()
        np.testing.assert_array_equal(first, last)


def test_keys_differ_where_any_byte_does_and_at_the_end() -> None:
    long = "abcdefgh" * 5
    texts = [long[:size] for size in range(1, 41)]
    texts += [f"{long[:i]}X{long[i + 1 :]}" for i in range(40)]
    for keys in (text_keys(pa.array(["", *texts, "a\0"])), split_words(pa.array(texts)).keys):
        assert len(set(keys.tolist())) == len(keys)
    joined = pa.array([" ".join(texts[i : i + 20]) for i in range(0, len(texts), 20)])
    np.testing.assert_array_equal(split_words(joined).keys, split_words(pa.array(texts)).keys)


def test_characters_after_the_first_thousand_are_ignored(encoder: TextEncoder) -> None:
    long = "Thai Palace " * 1_000_000
    vectors = read(encoder, pa.array([long, long[:1000]]))
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_stored_texts_come_back_and_distant_vectors_are_null(encoder: TextEncoder) -> None:
    vectors = read(encoder, pa.array(NAMES))
    assert encoder.decode(vectors, pa.string()).to_pylist() == NAMES
    assert encoder.decode(vectors + 0.01, pa.string()).to_pylist() == NAMES
    assert encoder.decode(vectors + 5, pa.string()).null_count == len(NAMES)


def column_of(encoder: TextEncoder) -> Column:
    fitted = {"center": [0.0] * encoder.size, "scale": [1.0] * encoder.size}
    column = Column(name="c", kind="text", type="string", size=encoder.size, reason="", **fitted)
    return column.with_encoder(encoder)


def test_an_encoder_is_the_same_after_saving(encoder: TextEncoder) -> None:
    tensors = text_tensors([column_of(encoder)])
    [loaded] = with_text_encoders([column_of(encoder)], tensors, Path("weights"))
    texts = pa.array([*NAMES, "Thai Hause"])
    np.testing.assert_array_equal(read(loaded.encoder, texts), read(encoder, texts))
    vectors = read(encoder, texts)
    assert loaded.encoder.decode(vectors, pa.string()) == encoder.decode(vectors, pa.string())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("features", None, "no encoder"),
        ("features", lambda t: t.flip(0), "not in order"),
        ("features", lambda t: t + (1 << 18), "out of range"),
        ("weights", lambda t: t[1:], "do not match its n-grams"),
        ("components", lambda t: t[:, 1:], "components that are not"),
        ("components", lambda t: t[1:], "components that are not"),
        ("ends", None, "incomplete stored texts"),
        ("ends", lambda t: t.flip(0), "stored texts out of range"),
        ("ends", lambda t: t + 10_000, "stored texts out of range"),
        ("ends", lambda t: t[:0], "0 stored texts"),
        ("ends", lambda t: t.float(), "of a wrong type"),
        ("characters", lambda t: torch.full_like(t, 255), "not UTF-8"),
        ("max_distance", lambda t: t.expand(2), "incomplete stored texts"),
    ],
)
def test_a_damaged_encoder_is_refused(encoder, name, change, message) -> None:
    tensors = text_tensors([column_of(encoder)])
    tensor = tensors.pop(f"baseline.text.0.{name}")
    if change is not None:
        tensors[f"baseline.text.0.{name}"] = change(tensor)
    with pytest.raises(ModelError, match=message):
        with_text_encoders([column_of(encoder)], tensors, Path("weights"))
