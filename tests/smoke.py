"""Does the package that is installed here work, outside its source, without the extra?

    python -I tests/smoke.py

Run by `make package` with the Python of an empty environment that holds a wheel or an sdist alone.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = Path(sys.executable).parent / "equiderm"


def equiderm(*words: object, status: int = 0) -> str:
    """Run the installed command; return what it said."""
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == status, f"{words} ended with {done.returncode}: {said}"
    return said


def main() -> None:
    import equiderm as package

    assert "site-packages" in package.__file__, package.__file__
    assert package.__version__ in equiderm("--version", "--verbose")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        equiderm("synthesize", home / "drawn", "--n", 6, "--test", 0)
        equiderm("label", home / "drawn" / "images", "-o", home / "tones.csv")
        with (home / "tones.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6 and all(row["ita"] for row in rows), rows
        scored = ["image_id,tone,target,score"]
        scored += [f"i{k},{'ab'[k % 2]},{k // 2 % 2},{k * 7 % 100 / 100}" for k in range(200)]
        (home / "scored.csv").write_text("\n".join(scored), encoding="utf-8")
        equiderm("audit", home / "scored.csv", "--by", "tone", "-o", home / "audit.html")
        assert "</html>" in (home / "audit.html").read_text(encoding="utf-8")
        said = equiderm("train", "none.toml", "--data", "none.csv", "-o", home / "run", status=2)
        assert "equiderm[train]" in said, said
    print(f"equiderm {package.__version__} works from {Path(package.__file__).parent}")


if __name__ == "__main__":
    main()
