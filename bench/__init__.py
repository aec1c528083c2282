"""What the figures of docs/bench.md come from: ``python -m bench``.

A measurement (measurements/) names cases; a case lets its entrants take turns. An entrant is a contestant
(contestants.py, loops.py, rustls/) with a job (work/), done by two processes of its own (harness.py,
worker.py). results.py keeps the figures, report.py and plots.py show them.
"""
