"""``veritls audit``: what each of a table of peers gets from a server, or from a context.

`peers` has the table and what a policy demands of each row, `identities` makes what the peers show, `server`
and `memory` let one of them in or see it refused, `judging` compares, `table` prints.
"""
