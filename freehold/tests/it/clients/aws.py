"""What scripts that speak as AWS's clients share."""

from botocore.exceptions import ClientError


def refused(code, call, **arguments):
    """The error that a call has to end with."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError(f"{code} was expected")
