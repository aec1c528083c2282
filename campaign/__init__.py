"""``python -m campaign``: load, faults and mutants, for as long as there is time; docs/campaign.md.

Each part is a module that offers a `Part` of campaign/part.py; campaign/parts.py is the table of them.
"""
