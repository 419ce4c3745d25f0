"""``python -m equiderm`` is the command line."""

from equiderm.cli import main

if __name__ == "__main__":
    main()
