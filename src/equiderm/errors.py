"""The one exception for input that a user can mend."""


class InputError(ValueError):
    """Input that cannot be used; its message is one sentence: what is wrong, where, what to do.

    The command line prints the message and exits with status 2; from Python it is a ``ValueError``.
    """
