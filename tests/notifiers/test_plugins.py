"""Notifiers of other packages."""

import subprocess
import sys
from pathlib import Path


def test_a_plugin_that_can_not_be_loaded_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / "broken_pager.py").write_text("raise RuntimeError('no licence')\n")
    info = tmp_path / "broken_pager-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-pager\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tocsin.notifiers]\npager = broken_pager:Pager\n")
    code = "from tocsin_notifiers.notifier import load_kinds; print(*sorted(load_kinds()))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(tmp_path)!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "slack" in done.stdout.split()
    assert "pager" not in done.stdout.split()
    assert "'pager' (broken_pager:Pager) can't be loaded: no licence" in done.stderr
