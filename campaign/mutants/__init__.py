"""Mutation testing of what decides: ``python -m campaign mutants``.

How it works. Python's mutants are made on the syntax tree; the engine's are switches in one engine that
holds them all (`rust_source`). Which test reaches what is recorded once (`reach`): by line for Python, by
switch for the engine. A worker is a pytest in a copy of the repository that has collected and imported
everything. For each mutant it forks; the fork becomes the mutant, runs the tests that reach it and stops at
the first that fails (`plugin`). A Python mutant goes into the live functions, as new code objects; one in
code that runs at import gets an interpreter of its own.

The processes that a test starts meet the mutant too: the engine reads VERITLS_MUTANT, and PYTHONPATH names
the copy, whose file is changed for as long as the mutant is tried.

The trap. A test that overwrites PYTHONPATH, or the whole environment, for a process that it starts tests
the installed, unchanged veritls there, and every mutant survives. The runner of CPython's suite
(`tests/cpython`) does, and so does ``python -m veritls run`` started with an environment of its own. Such a
test says nothing about a mutant of what runs in that process; tests/cpython is left out. Before a survivor
is believed, see that the tests chosen for it kill one that must die, such as `return None` in the same
function.
"""
