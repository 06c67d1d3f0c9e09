"""Text of strangers, as it is shown."""

from __future__ import annotations

import unicodedata

import pytest

from mimic_envs.text import cleaned, lines, name_fault, person_fault, plain, skeleton

POSING = {
    "lone surrogate": ("a\ud800b", r"a\ud800b"),
    "right to left": ("a\u202eb", r"a\u202eb"),
    "isolate": ("\u2066a", r"\u2066a"),
    "nothing": ("a\0b", r"a\x00b"),
    "escape": ("\x1b[31mred", r"\x1b[31mred"),
    "old escape": ("\x9b31m", r"\x9b31m"),
    "newline": ("a\n::error::b", r"a\n::error::b"),
    "carriage return": ("a\rb", r"a\rb"),
    "separators": ("a\u2028\u2029\x85b", r"a\u2028\u2029\x85b"),
    "tab": ("a\tb", r"a\tb"),
    "zero width": ("p\u200bd\u200d\ufeff", r"p\u200bd\u200d\ufeff"),
    "soft hyphen": ("p\xadd", r"p\xadd"),
    "blank letters": ("p\u3164\u115f\u2800d", r"p\u3164\u115f\u2800d"),
    "variation": ("a\ufe0f\U000e0101", r"a\ufe0f\U000e0101"),
    "tag": ("\U000e0061", r"\U000e0061"),
    "unusual spaces": ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
    "spaces": ("  a   b ", "a b"),
    "private": ("\ue000", r"\ue000"),
    "marks at the beginning": ("\u0301a", r"\u0301a"),
    "marks on a space": ("a \u0301", r"a \u0301"),
    "many marks": ("a" + 9 * "\u0323", "\u1ea1\u0323\u0323\u0323" + 5 * r"\u0323"),
    "Hebrew": ("\u05d0", r"\u05d0"),
}


@pytest.mark.parametrize("what", POSING)
def test_what_poses_is_shown_as_it_is(what: str) -> None:
    text, shown = POSING[what]
    assert plain(text) == shown
    assert plain(shown) == shown, "cleaned once is cleaned"


def test_every_character_is_shown_or_escaped() -> None:
    """No control, format, surrogate, private or unassigned one is left, and no line breaks."""
    kinds = [(c, unicodedata.category(c)) for c in map(chr, range(0x110000))]
    hidden = [c for c, kind in kinds if kind[0] in "CZ" and kind not in ("Co", "Cn")]
    hidden += [c for c, kind in kinds if kind in ("Co", "Cn")][::101]  # there are 970,000
    shown = plain("a".join(hidden), 2 * len(hidden), right_to_left=True)
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize(
    "text", ["PPO + PD (λ=0.1)", "é", "10⁹ steps", "<b>", "日本", "a\u0323\u0302"]
)
def test_usual_text_stays(text: str) -> None:
    assert plain(text) == unicodedata.normalize("NFC", text)


def test_length() -> None:
    assert plain("x" * 500, 10) == "x" * 10 + "..."
    assert len(plain("\ud800" * 10**7, 20)) < 200
    assert lines(map(str, range(1000)), 3) == ["0", "1", "2", "there is more, which is not listed"]


def test_json_is_cleaned_whole() -> None:
    given = {"a\n": ["\ud800", 1, None, {"b": "x\x1b"}]}
    assert cleaned(given) == {r"a\n": [r"\ud800", 1, None, {"b": r"x\x1b"}]}


@pytest.mark.parametrize(
    "name", ["\u0440d", "p\u200bd", "pd ", "pd\n", "p\uff44", "", "...", "\u03c1d", "p\u0336d"]
)
def test_names_of_things_are_ascii(name: str) -> None:
    assert name_fault(name)
    assert name_fault("PPO + PD residual, 0.1 (wide)") == ""


@pytest.mark.parametrize(
    "name",
    [
        "Иван Петров",
        "田中 太郎",
        "山田ひろし",
        "김철수",
        "Łukasz Ørsted",
        "Nguyễn Văn A",
        "עמית",
        "राम कुमार",
    ],
)
def test_people_are_called_as_they_are(name: str) -> None:
    assert person_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "mimic_\u0435nvs",
        "\uff4d\uff49\uff4d\uff49\uff43_envs",
        "\u1d0dimic_envs",
        "\ua4df\ua4f2\ua4df\ua4f2\ua4da",
        "mimic\u202e",
        "\U0001d426imic",
        "1 2",
        "m\u200dimic",
        "\u217fimic",
    ],
)
def test_people_have_letters_of_one_script(name: str) -> None:
    assert person_fault(name)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("mimic_envs", "M1MlC-Envs"),
        ("pd", "P.D."),
        ("zero", "zer0"),
        ("random", "randorn"),
        ("wbc", "VVBC"),
    ],
)
def test_names_that_look_alike(a: str, b: str) -> None:
    assert skeleton(a) == skeleton(b)
    assert skeleton(a) != skeleton(a + "x")
