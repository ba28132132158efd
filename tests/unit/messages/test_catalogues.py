"""The catalogues of sentences: complete, alike in every language, and complete for what the code raises."""

import ast
import json
import re
from pathlib import Path

import pytest

import chalicelib
from chalicelib import errors, messages

PACKAGE = Path(chalicelib.__file__).parent
REFUSALS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.Refused)
}
OTHERS = [language for language in messages.LANGUAGES if language != "en"]


def placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


def imported_refusals(tree: ast.Module) -> set[str]:
    """The names by which a module knows our refusals; its own exceptions may be named alike."""
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "chalicelib.errors"
    ]
    names = {name.asname or name.name for node in imports for name in node.names if name.name in REFUSALS}
    whole = any(
        name.name == "errors"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    )
    return names | (REFUSALS if whole else set())


def raised() -> list[tuple[str, set[str] | None, str, int]]:
    """Every refusal with a literal code.

    The code, its values' names (None if some are spread in), where it stands, its status.
    """
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        ours = imported_refusals(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            )
            code = node.args[0]
            if called in ours and isinstance(code, ast.Constant) and isinstance(code.value, str):
                names = {keyword.arg for keyword in node.keywords}
                values = None if None in names else {name for name in names if name}
                found.append(
                    (
                        code.value,
                        values,
                        f"{path.relative_to(PACKAGE)}:{node.lineno}",
                        getattr(errors, called).status,
                    )
                )
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_knows_the_same_codes(language):
    """A code added to one catalogue is not forgotten in another."""
    assert messages.catalogue(language).keys() == messages.catalogue("en").keys()


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_names_the_same_values(language):
    """A translated sentence shows the same values as the English one."""
    for code, sentence in messages.catalogue(language).items():
        assert placeholders(sentence) == placeholders(messages.catalogue("en")[code]), code


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_catalogue_names_each_code_once(language):
    """A code that stands twice is an error, so that the first sentence cannot vanish."""
    text = (PACKAGE / "messages" / f"{language}.json").read_text(encoding="utf-8")
    pairs = json.loads(text, object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs)


def test_every_code_that_is_raised_has_a_sentence():
    """No sender is answered with a bare code."""
    known = messages.catalogue("en")
    assert not sorted(f"{code} at {where}" for code, _, where, _ in raised() if code not in known)


def test_every_refusal_carries_what_its_sentence_shows():
    """No sender reads a brace where a field's name belongs."""
    automatic = {"retry_after"}
    known = messages.catalogue("en")
    lacking = [
        f"{code} at {where}: {placeholders(known[code]) - values - automatic}"
        for code, values, where, _ in raised()
        if code in known and values is not None and placeholders(known[code]) - values - automatic
    ]
    assert not lacking


@pytest.mark.parametrize(
    ("language", "code", "values", "sentence"),
    [
        ("ko", "missing_field", {"field": "exchange"}, "필수 필드 누락: exchange"),
        ("ko", "strategy_not_found", {}, "활성 전략을 찾을 수 없습니다"),
        ("ko", "token_wrong", {}, "웹훅 토큰이 유효하지 않습니다"),
        ("ko", "token_expired", {}, "웹훅 토큰이 만료되었습니다"),
        ("ko", "no_accounts", {}, "전략에 연결된 계좌가 없습니다"),
        ("ko", "webhook_success", {}, "웹훅 처리 성공"),
        (
            "zh",
            "insufficient_funds",
            {"needed": "18577.56", "available": "10000"},
            "资金不足: 需要 18577.56, 可用 10000",
        ),
        ("en", "no_data", {}, "No data received"),
        ("en", "user_not_found", {}, "User not found"),
        ("en", "user_not_active", {}, "User is not active"),
    ],
)
def test_the_seeds_own_words(language, code, values, sentence):
    """A sentence that a source document prints is answered to the letter."""
    assert messages.render(code, values, language) == sentence


def test_a_value_is_shown_as_it_is():
    """A value that itself holds braces is not taken for a part of the sentence."""
    shown = messages.render("placeholder", {"field": "price", "value": "{{close}}"})
    assert shown == "price holds {{close}}, a placeholder that was not filled"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("fr, zh;q=0.5", "zh"),
        ("fr", "en"),
        ("", "en"),
        ("ru;q=0", "en"),
        ("ar;q=x, ru", "ru"),
    ],
)
def test_the_readers_language(header, language):
    """The best language we have by `Accept-Language` is chosen, English otherwise."""
    assert messages.preferred(header) == language


def documented() -> dict[str, set[int]]:
    text = (PACKAGE.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    return {
        code: set(map(int, statuses.split(",")))
        for code, statuses in re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", text, re.MULTILINE)
    }


def test_the_documented_codes_are_the_catalogues():
    """`docs/errors.md` lists each code, and none that does not exist."""
    assert documented().keys() == messages.catalogue("en").keys()


def test_the_documented_status_is_the_one_answered():
    """`docs/errors.md` gives each code every status it is raised with."""
    known = documented()
    assert not [
        f"{code} is {status} at {where}"
        for code, _, where, status in raised()
        if code in known and status not in known[code]
    ]
