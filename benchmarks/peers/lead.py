"""A time of ours beside a peer's."""

from dataclasses import dataclass

from benchmarks.report import Figure


@dataclass(frozen=True)
class Lead(Figure):
    """A figure of which less is better: its ratio says how many times ours goes into the peer's."""

    @property
    def ratio(self) -> float | None:
        return None if not self.limit else self.limit / self.value
