"""Write what the demo says into docs/compare.md, so that no hand does.

make demo && python bench/demo_words.py demo/index.json
"""

import json
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "compare.md"
START, END = "<!-- the demo says -->\n", "<!-- end of what the demo says -->\n"


def words(content):
    """Return the answer and the table of the methods as Markdown."""
    lines = [f"> {sentence}\n>" for sentence in content["answer"]]
    columns = list(content["methods"][0])
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(row.values())} |" for row in content["methods"]]
    return "\n".join([*lines, "", f"{content['caption']}."]) + "\n"


def main():
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    PAGE.write_text(f"{before}{START}\n{words(content)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
