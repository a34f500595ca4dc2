"""Budget files and what they come to.

Read `model.py` (a budget with every default filled in), `file_model.py` (the keys of a file) with `values.py` (what
may stand behind them), `indicators.py` (the well-known names and their expressions), then the way of a file:
`load.py` -> `document.py` (a tree with places, from `json_document.py` or `yaml_document.py`) -> `structure.py`
(which mapping is which indicator) -> `complete.py` (keys and defaults; `holidays.py`: the file of dates that a budget
may name) -> `levels.py` (absolute limits). Mistakes are said by `errors.py`. `resolve.py` is what roles need of a
budget that travelled as an order.
"""
