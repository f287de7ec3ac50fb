"""What goes wrong with a template."""


class TemplateProblem(ValueError):  # noqa: N818 - it names what was found
    """A template that can't be compiled or rendered: what is wrong, and in which line (from 1; None if unknown)."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line})")
        self.message = message
        self.line = line
