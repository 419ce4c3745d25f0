"""Write what the demo's comparison says into docs/compare.md, so that no hand does.

make demo && python bench/demo_words.py demo/comparison.json
"""

import json
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "compare.md"
START, END = "<!-- the demo says -->\n", "<!-- end of what the demo says -->\n"


def words(content):
    """Return the answer, and worst group and gap of every method, as Markdown."""
    test = content["tests"][0]
    lines = [f"> {sentence}\n>" for sentence in content["answer"]]
    lines += ["", "| method | worst group | gap | overall |", "|---|---|---|---|"]
    by_name = {(one["experiment"], one["figure"]): one for one in test["figures"]}
    for name in content["experiments"]:
        cells = [by_name[name, figure] for figure in ("worst", "gap", "overall")]
        shown = " | ".join(f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
                           for one in cells)  # fmt: skip
        lines.append(f"| {name} | {shown} |")
    seeds, images = len(content["seeds"]), test["n"]
    lines += ["", f"AUROC, mean of {seeds} seeds on {images:,} drawings (95 % intervals)."]
    return "\n".join(lines) + "\n"


def main():
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    PAGE.write_text(f"{before}{START}\n{words(content)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
