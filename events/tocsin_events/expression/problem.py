"""What can be wrong with an expression before it is ever evaluated."""

_LONGEST = 250


class ExpressionSyntaxError(ValueError):
    """A text that is no expression: what is wrong, and where (``line`` and ``column`` count from 1)."""

    def __init__(self, message: str, line: int, column: int) -> None:
        if len(message) > _LONGEST:
            message = message[:_LONGEST] + "…"
        super().__init__(f"{message} (line {line}, column {column})")
        self.message = message
        self.line = line
        self.column = column

    @classmethod
    def at(cls, message: str, text: str, offset: int) -> "ExpressionSyntaxError":
        """Return the error for an offset in a text."""
        offset = min(max(offset, 0), len(text))
        line_start = text.rfind("\n", 0, offset) + 1
        return cls(message, text.count("\n", 0, offset) + 1, offset - line_start + 1)
