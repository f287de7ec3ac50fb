"""The deployment as a person writes it: a flow, made known to the server under a name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tocsin_server.flow_schema import FlowProblem, split_entrypoint

_LATER: Final = {
    "schedules": "write an automation with a schedule trigger and the action run_deployment",
    "triggers": "write an automation with this trigger and the action run_deployment",
    "concurrency": "limit the automation that starts the runs with limits.concurrency",
}


def _labels(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _label(one) for name, one in value.items()}


def _label(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class Deployment(BaseModel):
    """A deployment as ``tocsin.yaml`` has it under ``deployments:``.

    ``flow`` is ``file.py:function`` or ``module:function``, found from the directory ``source``. ``paused`` left out
    keeps what it is (a new one runs), so that applying a file doesn't undo what an automation paused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$", max_length=200)
    description: str = Field(default="", max_length=2000)
    flow: str
    source: Path = Path()
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    labels: Annotated[dict[str, str], BeforeValidator(_labels)] = Field(default_factory=dict)
    paused: bool | None = None
    work_pool: str = Field(default="default", pattern=r"^[A-Za-z0-9_-]+$", max_length=100)
    work_queue: str = Field(default="default", pattern=r"^[A-Za-z0-9_-]+$", max_length=100)
    on_crash: Literal["fail", "rerun"] = "fail"

    @model_validator(mode="before")
    @classmethod
    def _say_what_comes_later(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for name, instead in _LATER.items():
                if name in value:
                    raise ValueError(f"{name}: not available in this version; {instead}")
        return value

    @field_validator("flow")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        try:
            split_entrypoint(value)
        except FlowProblem as problem:
            raise ValueError(str(problem)) from None
        return value

    @field_validator("source", mode="before")
    @classmethod
    def _is_a_directory(cls, value: Any) -> Any:
        if isinstance(value, Mapping) or (isinstance(value, str) and "://" in value):
            raise ValueError("only a directory is available in this version; fetch the code there yourself")
        return value
