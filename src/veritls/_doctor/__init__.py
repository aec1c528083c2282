"""``python -m veritls doctor``: reads programs that use `ssl`, and says what differs with veritls.

Programs are parsed, never imported or run (`reading`). What a name stands for is followed through imports and
simple assignments (`names`). What is written as a constant is evaluated (`constants`), and tried on a context
of `ssl` and on one of veritls, so that the library itself says what it refuses (`trying`). What no single
operation shows, such as what a peer would need, stands in `rules` with the words for it.
"""
