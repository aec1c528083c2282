"""blocks.py PAGE FOLDER NAME...: writes the blocks of a page that begin with "# NAME", as a reader would."""

import re
import sys
from pathlib import Path

page, folder, *names = sys.argv[1:]
blocks = dict(re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", Path(page).read_text("utf-8"), re.M | re.S))
for name in names:
    (Path(folder) / name).write_text(blocks[name], "utf-8")
    print(f"{name}: {len(blocks[name].splitlines())} lines of {page}")
