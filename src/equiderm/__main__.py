"""``python -m equiderm`` is the command line."""

import os
import sys

if __name__ == "__main__":
    # Python puts the working folder first; a photograph's folder may hold a random.py.
    try:
        here = os.path.realpath(os.curdir)
    except OSError:  # it has been deleted
        here = ""
    sys.path[:] = [path for path in sys.path if path and os.path.realpath(path) != here]

    try:
        from equiderm.cli import main
    except KeyboardInterrupt:  # before there is anything to stop
        raise SystemExit(130) from None
    main()
