"""Import of Prefect's automations: its JSON in, our YAML out, and what changed in meaning on the way.

Pure: `translate` reads text and gives text. Prefect 3's form is meant, as `prefect automation inspect --output json` and
its API give it.
"""

from tocsin_server.prefect_import.report import Remark, RemarkKind
from tocsin_server.prefect_import.translation import Imported, NotPrefect, Translated, Vocabulary, translate

__all__ = ["Imported", "NotPrefect", "Remark", "RemarkKind", "Translated", "Vocabulary", "translate"]
