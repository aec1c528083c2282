"""The broken chains: the name of each, and what makes it."""

from tests.reports import dates_and_names, demands, rules, signatures, trust  # noqa: F401
from tests.reports.broken import CASES as CASES
