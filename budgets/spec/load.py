"""From the text of a budget file to complete budgets, or to everything that is wrong with it.

The file itself is read by whoever holds it (`agents/budget_files.py`, the command line): text comes in here.
"""

from budgets.spec.complete import complete
from budgets.spec.document import DocumentError, Node
from budgets.spec.errors import BudgetError, Mistake, Mistakes
from budgets.spec.holidays import ReadText, refuse_files
from budgets.spec.json_document import read_json
from budgets.spec.model import ServiceBudget
from budgets.spec.structure import find_services
from budgets.spec.yaml_document import read_yaml


def load_budgets(text: str, filename: str, *, step_ms: int, read_file: ReadText = refuse_files) -> list[ServiceBudget]:
    """The budgets of a file, one a service, in the order of the file.

    Args:
        text: JSON or YAML.
        filename: named in mistakes, and in the budgets as their source; its ending says which of the two it is.
        step_ms: the evaluation step, for the default window.
        read_file: the text of a file that it names, from the path as it stands there.

    Raises:
        BudgetError: every mistake of the file.
    """
    root = read_document(text, filename)
    mistakes = Mistakes(filename)
    budgets = []
    for service, places in find_services(root, mistakes).items():
        specs = [complete(place, step_ms, mistakes, read_file) for place in places]
        budgets.append(ServiceBudget(service, tuple(spec for spec in specs if spec is not None), source=filename))
    mistakes.raise_any()
    return budgets


def read_document(text: str, filename: str) -> Node:
    """The tree of a file: JSON or YAML by its ending, by its first sign where that does not tell.

    Raises:
        BudgetError: neither of the two.
    """
    text = text.removeprefix("\ufeff")
    ending = filename.lower().rpartition(".")[2]
    if ending == "json" or (ending not in {"yaml", "yml"} and text.lstrip().startswith("{")):
        reader = read_json
    else:
        reader = read_yaml
    try:
        return reader(text)
    except DocumentError as error:
        raise BudgetError([Mistake(filename, error.line, "", str(error))]) from error
