"""Compiled templates: texts, and values with templates in them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from types import CodeType
from typing import Any, Final

import jinja2
from jinja2 import Undefined, meta, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError, UndefinedError

from tocsin_events.template import syntax
from tocsin_events.template.budget import MAX_SOURCE, NAME, Budget
from tocsin_events.template.filters import kind, text_of
from tocsin_events.template.missing import settle
from tocsin_events.template.problem import TemplateProblem
from tocsin_events.template.sandbox import environment

_RESULT: Final = "result_of_the_template"
_FILE: Final = "<template>"
_MARKS: Final = ("{{", "{%", "{#")
_FAILURES: Final = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
)  # fmt: skip


class Template:
    """A compiled template: immutable, and safe to share between threads.

    ``text`` is what was written, ``names`` the top-level names that it asks for.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_SOURCE:
            raise TemplateProblem(f"the template has {len(text)} characters; at most {MAX_SOURCE} are read")
        self.text = text
        self.names: frozenset[str] = frozenset()
        self._program: _Program | None = None
        self._value: _Program | None = None
        if any(mark in text for mark in _MARKS):
            self._program = _Program(text, native=False)
            self._value = _Program(text, native=True) if self._program.is_one_expression else None
            self.names = self._program.names

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @property
    def is_native(self) -> bool:
        """Whether the template is exactly one ``{{ … }}``, whose value `render_native` gives."""
        return self._value is not None

    def render(self, names: Mapping[str, Any]) -> str:
        """Return the text.

        Raises:
            TemplateProblem: a name is missing, a calculation failed, or a limit was exceeded.

        """
        if self._program is None:
            return self.text
        return "".join(self._program.pieces(_Rendering(self._program, names, lenient=False)))

    def render_lenient(self, names: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Return the text whatever happens, and what went wrong; never raise.

        A missing name prints as ``⟨missing: data.foo⟩``; where the rendering fails, the text ends with the reason.
        """
        if self._program is None:
            return self.text, ()
        rendering = _Rendering(self._program, names, lenient=True)
        pieces: list[str] = []
        try:
            for piece in self._program.pieces(rendering):
                pieces.append(piece)  # noqa: PERF402 - what came before a failure is kept
        except TemplateProblem as problem:
            pieces.append(f"⟨template failed: {problem}⟩")
            rendering.budget.problems.append(str(problem))
        return "".join(pieces), tuple(dict.fromkeys(rendering.budget.problems))

    def render_native(self, names: Mapping[str, Any]) -> Any:
        """Return the value of a template that is exactly one ``{{ … }}``, as JSON has it; else the text.

        A time becomes its RFC 3339 text.

        Raises:
            TemplateProblem: as `render`, or the value is none that JSON has.

        """
        if self._value is None:
            return self.render(names)
        rendering = _Rendering(self._value, names, lenient=False)
        for _ in self._value.pieces(rendering):
            pass
        with self._value.named_problems():
            return _json(rendering.context.vars[_RESULT], rendering.budget)


@lru_cache(maxsize=1024)
def compile_template(text: str) -> Template:
    """Return the compiled form of a template; the last ones are kept, since compiling takes a hundred renderings.

    Raises:
        TemplateProblem: the text is no template, uses what templates may not use, or is too large.

    """
    return Template(text)


class _Program:
    """Jinja's code for a template, made once and run in the strict and the lenient environment."""

    def __init__(self, text: str, *, native: bool) -> None:
        with self.named_problems():
            tree = environment(lenient=False).parse(text)
            self.parts = syntax.checked(tree)
            self.names = frozenset(meta.find_undeclared_variables(tree)) - {"range", "namespace"}
            expression = syntax.only_expression(tree)
            self.is_one_expression = expression is not None
            if native and expression is not None:
                target = nodes.Name(_RESULT, "store").set_lineno(1)
                tree.body = [nodes.Assign(target, expression).set_lineno(1)]
            guarded = syntax.Guarding().visit(tree)
            guarded.set_environment(environment(lenient=False))
            code = environment(lenient=False).compile(guarded, name=None, filename=_FILE)
        self._templates = {lenient: _loaded(code, lenient=lenient) for lenient in (False, True)}

    def template(self, *, lenient: bool) -> jinja2.Template:
        return self._templates[lenient]

    def pieces(self, rendering: "_Rendering") -> Iterator[str]:
        """Yield the output piece by piece, counted."""
        with self.named_problems():
            for piece in rendering.template.root_render_func(rendering.context):
                yield rendering.budget.written(piece)

    @contextmanager
    def named_problems(self) -> Iterator[None]:
        """Turn what a template does wrong into a `TemplateProblem` with its line."""
        try:
            yield
        except TemplateSyntaxError as problem:
            raise TemplateProblem(problem.message or "this is no template", problem.lineno) from None
        except RecursionError:
            raise TemplateProblem("the template or a value in it is nested too deeply") from None
        except UndefinedError as problem:
            raise TemplateProblem(problem.message or "a name is missing", self._line(problem)) from None
        except ZeroDivisionError as problem:
            raise TemplateProblem("division by zero", self._line(problem)) from None
        except (*_FAILURES, SyntaxError) as problem:
            raise TemplateProblem(str(problem)[:500] or type(problem).__name__, self._line(problem)) from None

    def _line(self, problem: BaseException) -> int | None:
        templates = getattr(self, "_templates", None)
        trace, line = problem.__traceback__, None
        while trace is not None and templates is not None:
            if trace.tb_frame.f_code.co_filename == _FILE:
                line = templates[False].get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line


class _Rendering:
    """One rendering: its template, context and budget."""

    def __init__(self, program: _Program, names: Mapping[str, Any], *, lenient: bool) -> None:
        self.template = program.template(lenient=lenient)
        self.budget = Budget()
        self.budget.steps -= program.parts
        known = {name: names[name] for name in program.names if name in names}
        known |= self.template.environment.globals
        known[NAME] = self.budget
        self.context = self.template.new_context(known, shared=True)


def _loaded(code: CodeType, *, lenient: bool) -> jinja2.Template:
    made = environment(lenient=lenient)
    return jinja2.Template.from_code(made, code, made.globals)


def _json(value: Any, budget: Budget) -> Any:
    """Return a template's value as JSON has it."""
    budget.charge(1)
    match value:
        case Undefined():
            return settle(value)
        case None | bool() | str():
            return value
        case int():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is no number that JSON has")
            return value
        case datetime() | timedelta():
            return text_of(value)
        case list() | tuple():
            return [_json(one, budget) for one in value]
        case Mapping():
            return {str(key): _json(one, budget) for key, one in value.items()}
        case _:
            raise TypeError(f"{kind(value)} is no value that JSON has")
