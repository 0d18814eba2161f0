"""The Python blocks of the papers run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    pytest.param(block, id=f"{name}-{place}")
    for name in ("README.md", "CONTRIBUTING.md")
    for place, block in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL))
]


def test_readme_has_examples() -> None:
    assert sum("README" in str(block.id) for block in BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "<document>", "exec"), {"__name__": "__document__"})
    assert capsys.readouterr().out.strip()
