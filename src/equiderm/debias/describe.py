"""The page of the methods, docs/methods.md, written from their docstrings.

python -m equiderm.debias.describe docs/methods.md
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from equiderm.debias import METHODS
from equiderm.files import write_whole

_INTRO = """\
<!-- Written by `python -m equiderm.debias.describe docs/methods.md` from the docstrings. -->

# Methods

Every method shares a backbone and a target head; those that unlearn have a group head, too. A
method is the order in which losses move these parts: `updates` in its file says which, and `refit`
what is fitted once training is over. Pick one by its name in an experiment file; `experiments/`
holds one for each, those of the paper as published and corrected.

The first five are the paper's and its plainest rival. Of the others `dfr` and `leace` fit a head on
the features of a trained ERM, in seconds: `dfr` for the worst group, `leace` as the control that
tells "unlearned" from "better".

None of them makes a model free of bias. They mitigate; measure what is left with `equiderm probe`
and `equiderm audit`.
"""


def methods_page() -> str:
    """Return the page, MyST Markdown, one section per method, in the order of `METHODS`."""
    return "\n".join([_INTRO, *(_section(name, cls) for name, cls in METHODS.items())])


def _section(name: str, cls: type) -> str:
    text = inspect.cleandoc(cls.__doc__ or "")
    text = re.sub(
        r"\.\. math::(?P<line>[^\n]*)\n(?P<block>(?:\n|[ ]+[^\n]*\n)*)",
        lambda found: _equation(found["line"] + "\n" + found["block"]),
        text + "\n",
    )
    text = re.sub(r"(?m)^(Args|Source|Differs):$", r"**\1**\n", text)
    text = re.sub(r"(?m)^    (\w+): ", r"- `\1`: ", text)
    text = re.sub(r"(?m)^    +", "", text)
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    file = Path(inspect.getfile(cls)).name
    return f"## {name}\n\n{text.strip()}\n\nIn `src/equiderm/debias/{file}`.\n"


def _equation(block: str) -> str:
    body = inspect.cleandoc(block)
    return f"```{{math}}\n{body}\n```\n\n"


def main() -> None:
    """Write the page to the file named."""
    with write_whole(Path(sys.argv[1])) as temporary:
        temporary.write_text(methods_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
