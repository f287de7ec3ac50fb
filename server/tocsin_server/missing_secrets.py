"""Secrets that notifiers name and that are not there: told when files are applied, and beside the notifier as long as it lasts."""

from tocsin_automations.problem import Problem, Severity
from tocsin_automations.validation import place_of
from tocsin_server.config_files import Written, resolve
from tocsin_server.errors import UserError
from tocsin_server.notification_sections import secret_places
from tocsin_server.vault import Vault


async def missing(vault: Vault, name: str) -> str:
    """Return what is wrong with a secret and what to do; empty where it is there."""
    try:
        found = await vault.get(name) is not None
    except UserError as problem:
        return f"{problem.what} {problem.why}"
    return "" if found else f"there is no secret {name!r}: `tocsin secrets set {name}`"


async def warnings_of(written: Written, vault: Vault) -> list[Problem]:
    """Return a warning for each secret that the notifiers in files name and that is not there, where it is named."""
    warnings = []
    for one in written.of("notifiers").values():
        for path, name in secret_places(resolve(one)):
            if said := await missing(vault, name):
                place = place_of(one.node, path)
                warnings.append(
                    Problem(one.file.name, place.line, place.column, said, severity=Severity.WARNING)
                )
    return warnings
