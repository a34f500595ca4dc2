"""The notifier role: alert events -> receivers, through a durable outbox.

Reading order: `main.py` (wiring), `intake.py` (the topic -> the outbox), `route.py` (who gets what), `delivery.py`
(one queue a receiver), `backoff.py` (when to try again), `dead_letters.py` (what was given up), `watch.py` (is
everything there?), `trouble.py` (what is waited out), `receivers/` (one file each).
"""
