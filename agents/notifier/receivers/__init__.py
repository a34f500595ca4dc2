"""Receivers: one file each, and what they share.

Reading order: `receiver.py` (what a receiver is), `posting.py` (one HTTP request and what came of it), `retry.py` (what
an answer means), `addresses.py` (where no request may go), `secret_text.py` (URLs and secrets, from settings or from
files), `webhook.py`, `slack.py` with `slack_message.py`, `create.py` (from settings to receivers).
"""
