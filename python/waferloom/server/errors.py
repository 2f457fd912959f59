"""Errors in the form of the protocol."""


class ApiError(Exception):
    """A refusal: a status of HTTP, and what the body says."""

    def __init__(self, status, message, code=None, param=None):
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param

    @property
    def body(self):
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def too_long(error, param="messages"):
    """Of a dialogue.TooLong."""
    return ApiError(400, f"{error}; shorten it, compile with a larger --context, or serve with --context-policy slide",
                    "context_length_exceeded", param)
