"""Templates: Jinja2 in a sandbox that holds, for the texts of notifications and the arguments of actions.

`compile_template` gives a `Template`, `compile_value` the compiled form of a JSON value with templates in it. What
templates may use, and their limits, is in docs/reference/templates.md.
"""

from tocsin_events.template.compiled import Template, compile_template
from tocsin_events.template.names import template_names
from tocsin_events.template.problem import TemplateProblem
from tocsin_events.template.values import ValueTemplate, compile_value

__all__ = [
    "Template",
    "TemplateProblem",
    "ValueTemplate",
    "compile_template",
    "compile_value",
    "template_names",
]
