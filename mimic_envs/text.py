"""Text that is shown: what strangers wrote becomes one line that cannot pose as something else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_SHOWN = frozenset("LMNPS")
"""First letters of the Unicode categories that are shown: letters, marks, numbers, signs."""
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U0001d173-\U0001d17a\U000e0100-\U000e01ef]"
)
"""Letters, marks and signs that nobody sees."""
_MOST_MARKS = 3
"""Marks on one letter; more would cover the lines above and below."""
_SCRIPT_NAMES = """
LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC THAANA DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA
TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR GEORGIAN HANGUL ETHIOPIC KHMER
HIRAGANA KATAKANA KATAKANA-HIRAGANA BOPOMOFO CJK
"""
_SCRIPTS = frozenset(_SCRIPT_NAMES.split())
"""Scripts for names of people: those that UAX #31 recommends, as `unicodedata.name` begins."""
_TOGETHER = frozenset(("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "CJK"))
"""Scripts that are written together in one word."""
_ALIKE = {
    **dict.fromkeys("i1|!\u0131\u0142", "l"),
    **{"0": "o", "\u00f8": "o", "\u0111": "d", "\u0127": "h", "\u0167": "t", "5": "s"},
}
"""Latin letters and digits that are taken for one another, in lower case."""


def plain(text: str, most: int = 300, right_to_left: bool = False) -> str:
    r"""Return a text as one line that is safe in terminals, logs, tables and pages.

    Characters that control, reorder or hide text become escapes such as `\u202e`: controls with
    newline and tab, surrogates, format characters, unassigned and private ones, unusual spaces,
    blank letters, and marks beyond three on a letter. Runs of spaces become one. The rest is put
    in Unicode's composed form and cut to a length. A text that is to be refused and not cleaned
    is one that this function changes.

    Args:
        text: Any string, also one that cannot be encoded.
        most: Characters that are kept.
        right_to_left: Keep letters of scripts from right to left. Only for places that isolate
            them, as HTML's `bdi` does, since they reorder what stands beside them.
    """
    pieces, marks = [], _MOST_MARKS  # a mark at the beginning would sit on what comes before
    for character in unicodedata.normalize("NFC", text[:most]):
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if character == " ":
            marks = _MOST_MARKS
        elif (
            category[0] not in _SHOWN
            or marks > _MOST_MARKS
            or _BLANK.match(character)
            or (unicodedata.bidirectional(character) in _RIGHT_TO_LEFT and not right_to_left)
        ):
            pieces.append(_escape(character))
            continue
        pieces.append(character)
    line = re.sub(" +", " ", "".join(pieces)).strip(" ")
    return f"{line}..." if len(text) > most else line


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def lines(texts: Iterable[str], most: int = 50) -> list[str]:
    """Return texts as `plain` has them, the first ones only.

    Args:
        texts: Texts, for example problems; more than `most` of them are not even made.
        most: How many are kept; one more line says that there were others.
    """
    kept: list[str] = []
    for text in texts:
        if len(kept) == most:
            return [*kept, "there is more, which is not listed"]
        kept.append(plain(text))
    return kept


def cleaned(value: object, most: int = 2000) -> object:
    """Return JSON with all its strings, keys included, as `plain` has them."""
    if isinstance(value, str):
        return plain(value, most, right_to_left=True)
    if isinstance(value, list):
        return [cleaned(one, most) for one in value]
    if isinstance(value, dict):
        return {cleaned(k, most): cleaned(v, most) for k, v in value.items()}
    return value


def name_fault(name: str) -> str:
    """Return why a text cannot be the name of a thing; empty if it can."""
    if not name.isascii() or not any(map(str.isalnum, name)):
        return "has other characters than ASCII, which look like one another, or no letters"
    return "" if plain(name, len(name)) == name else f"is shown as {plain(name)!r}"


def person_fault(name: str) -> str:
    """Return why a text cannot be the name of a person; empty if it can.

    Any living script will do, but a word has letters of one script: in another a letter can look
    like the Latin one.
    """
    if plain(name, len(name), right_to_left=True) != name:
        return f"is shown as {plain(name)!r}"
    if unicodedata.normalize("NFKC", name) != name:
        return "has letters in a special form, write " + repr(
            plain(unicodedata.normalize("NFKC", name))
        )
    if not any(map(str.isalpha, name)):
        return "has no letters"
    for word in name.split():
        scripts = {_script(c) for c in word if unicodedata.category(c)[0] in "LM"} - {""}
        if len(scripts) > 1 and not scripts <= _TOGETHER:
            return f"mixes scripts in the word {plain(word, right_to_left=True)!r}"
        if not scripts <= _SCRIPTS:
            return f"has unusual letters in the word {plain(word, right_to_left=True)!r}"
    return ""


def _script(letter: str) -> str:
    """Script of a letter or mark; empty for marks of every script."""
    script = unicodedata.name(letter, "UNKNOWN").split()[0]
    if script == "COMBINING":
        return ""
    if script == "LATIN" and ord(letter) > 0x17F:  # phonetic letters and the like
        base = unicodedata.normalize("NFKD", letter)[0]
        return "LATIN" if base.isascii() else "PHONETIC"
    return script


def skeleton(text: str) -> str:
    """Return what two texts have in common that a hurried reader takes for the same."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    alike = "".join(_ALIKE.get(c, c) for c in letters)
    return "".join(filter(str.isalnum, alike)).replace("rn", "m").replace("vv", "w")
