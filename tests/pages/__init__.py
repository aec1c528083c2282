"""Runs what the pages of the documentation have in their blocks of code, as a reader would.

A page is a session in an empty folder. From top to bottom:

- A block whose first line is a comment with the name of a file (`# server.py`) is that file.
- A `console` block is what a terminal shows: commands after `$`, each with its output. A named terminal, by
  `<!-- terminal: server -->` in the line before, keeps its last command running, for the next blocks of other
  terminals; a block of it that begins without `$` is what that command has said since.
- An `sh` block is a script that has to end well.
- Any other `python` block is executed, with the names of the blocks before it.

What is replaced: the ports of `story.PORTS`, by free ones; 0.0.0.0, by 127.0.0.1; `story.FOLDER`, by the
folder; `pip`, by a program that looks whether what it should install is installed. What differs in each run
stands in `outputs.VOLATILE`. What cannot be run has `<!-- not run: the reason -->` in the line before.
"""
