"""What a user can mend: one sentence that says what is wrong and what to do, exit code 2."""


class UsageError(Exception):
    """The user's input, files or machine are at fault."""
