"""Files of docs/ that are generated from the code, so that they cannot say anything else.

    python -m tests.golden.documents      (what `make golden` runs: writes them again)

`tests/unit/test_schemas.py` fails when one of them is not what the code says now.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from budgets.spec.schema import budget_file_schema
from tests.golden.notifying_page import notifying_page
from tests.golden.schemas import SCHEMAS
from tests.golden.settings_page import settings_page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _budget_file() -> str:
    return json.dumps(budget_file_schema(), indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Mapping[Path, Callable[[], str]] = {
    **{DOCS / "schemas" / f"{name}.json": create for name, create in SCHEMAS.items()},
    DOCS / "schemas" / "budget-file.json": _budget_file,
    DOCS / "configuration.md": settings_page,
    DOCS / "notifying.md": notifying_page,
}


def main() -> None:
    """Write every generated file."""
    for path, create in DOCUMENTS.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(create(), encoding="utf-8")


if __name__ == "__main__":
    main()
