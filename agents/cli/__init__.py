"""The command line: one file a command group.

Read `main.py` (finds the subcommand, turns errors into exit codes) and `output.py` (exit codes, how things are
printed), then what you are after: `up.py` and `demo.py` start everything, `roles.py` one role, `topics.py` and
`budgets.py` look at what is declared, `check.py` compares services with their budgets.
"""
