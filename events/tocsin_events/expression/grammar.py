"""cel-python's grammar of the language, and the parser that is built from it."""

import re
import threading
from collections.abc import Callable
from functools import cache
from importlib.abc import FileLoader
from importlib.util import find_spec
from typing import Any, Final

from tocsin_events.expression.problem import ExpressionSyntaxError


def read(text: str, blanked: str) -> Any:
    """Return lark's tree of a blanked text (`tocsin_events.expression.lexis`).

    Raises:
        ExpressionSyntaxError: the grammar does not know it; the message speaks about ``text``.

    """
    parse, lock = _parser()
    with lock:
        return parse(text, blanked)


@cache
def _parser() -> tuple[Callable[[str, str], Any], threading.Lock]:
    """Build the parser of cel-python's grammar, when the first expression is compiled: it takes a tenth of a second.

    It is built here, not by cel-python's own class, which loses the places of ``true`` and ``false`` and loads half of
    the package.
    """
    from lark import Lark, Token
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    def literal_or_name(token: Token) -> Token:
        return Token.new_borrow_pos("BOOL_LIT", token.value, token) if token in ("true", "false") else token

    lark = Lark(
        _grammar_text(),
        parser="lalr",
        start="expr",
        g_regex_flags=re.MULTILINE,
        lexer_callbacks={"IDENT": literal_or_name},
        propagate_positions=True,
        maybe_placeholders=False,
        priority="invert",
    )

    def run(text: str, blanked: str) -> Any:
        try:
            return lark.parse(blanked)
        except UnexpectedToken as problem:
            token = problem.token
            ended = token.type == "$END"
            place = len(text.rstrip()) if ended else token.start_pos or 0
            raise ExpressionSyntaxError.at(
                _unexpected(text, place, str(token), ended=ended), text, place
            ) from None
        except UnexpectedCharacters as problem:
            place = problem.pos_in_stream or 0
            message = _unexpected(text, place, text[place : place + 1], ended=False)
            raise ExpressionSyntaxError.at(message, text, place) from None
        except UnexpectedInput as problem:
            place = problem.pos_in_stream or 0
            raise ExpressionSyntaxError.at("this is no expression", text, place) from None

    return run, threading.Lock()


def _grammar_text() -> str:
    found = find_spec("celpy")
    assert found is not None
    assert found.submodule_search_locations is not None
    assert isinstance(found.loader, FileLoader)
    return found.loader.get_data(f"{found.submodule_search_locations[0]}/cel.lark").decode()


_HINTS: Final = {
    "=": "; write == to compare",
    "and": "; write && for and",
    "or": "; write || for or",
    "not": "; write ! for not",
    "&": "; write && for and",
    "|": "; write || for or",
    "is": "; write == to compare",
}


def _unexpected(text: str, place: int, found: str, *, ended: bool) -> str:
    if ended:
        return "the expression ends too early" if text.strip() else "the expression is empty"
    # `a === b` stumbles over the third sign, `not x` over the x.
    before = text[:place].split()[-1:] or [""]
    hint = _HINTS.get(found) or (_HINTS["not"] if before[0] == "not" else "")
    return f"{found!r} is not expected here{hint}"
