"""Errors in the format of OpenAI: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from sonant import errors as sonant_errors
from sonant.errors import SonantError

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An error response.

    Attributes:
        status: HTTP status.
        code: stable identifier.
        message: what was given, what was expected, what to do.
        param: field of the request with the error.
        retry_after: seconds after which the same request may succeed.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param, self.retry_after = status, code, message, param, retry_after

    def copy(self) -> "ApiError":
        """Copy the error to raise it: the traceback of a raised one keeps local variables, such as audio, alive."""
        return ApiError(self.status, self.code, self.message, param=self.param, retry_after=self.retry_after)

    @property
    def type(self) -> str:
        """The error type of OpenAI."""
        return error_type(self.status)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After in whole seconds; or that the client should not retry."""
        if self.retry_after is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after + 0.5)))}


TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


def error_type(status: int) -> str:
    """Return the error type of OpenAI for an HTTP status."""
    return TYPES.get(status, "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error")


CODES: tuple[tuple[type[SonantError], int, str], ...] = (
    (sonant_errors.EmptyAudio, 400, "empty_audio"),
    (sonant_errors.TooShortAudio, 400, "audio_too_short"),
    (sonant_errors.TruncatedAudio, 400, "truncated_audio"),
    (sonant_errors.OversizedAudio, 413, "audio_too_long"),
    (sonant_errors.NonFiniteAudio, 400, "non_finite_audio"),
    (sonant_errors.MissingChannel, 400, "missing_channel"),
    (sonant_errors.NoSpeech, 400, "no_speech"),
    (sonant_errors.TooLittleSpeech, 400, "too_little_speech"),
    (sonant_errors.SeveralVoices, 400, "several_voices"),
    (sonant_errors.RecordingEnrolled, 409, "recording_enrolled"),
    (sonant_errors.UnalignableText, 400, "unalignable_text"),
    (sonant_errors.AudioError, 400, "invalid_audio"),
    (sonant_errors.NonFiniteStates, 500, "non_finite_states"),
    (sonant_errors.UnknownName, 400, "unknown_name"),
    (sonant_errors.ConfigurationError, 400, "invalid_value"),
)


INTERNAL = ApiError(
    500,
    "internal_error",
    "Something went wrong here. The operator of this server can find out what by the x-request-id.",
)


def overloaded(reason: str) -> ApiError:
    """Return the error for a server with too much to do."""
    message = f"The server has too much to do: {reason}. Ask again after the seconds in Retry-After."
    return ApiError(429, "server_is_overloaded", message, retry_after=1)


def api_error(error: SonantError, *, param: str | None = None) -> ApiError:
    """Convert an error of sonant for the caller; internal errors become `INTERNAL`."""
    for kind, status, code in CODES:
        if isinstance(error, kind):
            return ApiError(status, code, str(error), param=param)
    return INTERNAL


Page = Callable[[Request, ApiError], Response | None]


def no_page(_request: Request, _error: ApiError) -> None:
    """Return None, for servers without pages."""


def install(app: FastAPI, page: Page = no_page) -> None:
    """Install handlers for all exceptions that concern the caller; RequestIds handles the others.

    Args:
        page: makes an error page for browsers, or returns None for other clients.
    """

    def handler(told: Callable[[Any], ApiError]) -> Callable[[Request, Exception], Response]:
        def handle(request: Request, error: Exception) -> Response:
            api = told(error)
            request.state.error_code = api.code
            response = page(request, api) or answer(api)
            if isinstance(error, HTTPException):
                response.headers.update(error.headers or {})
            return response

        return handle

    app.add_exception_handler(ApiError, handler(lambda error: error))
    app.add_exception_handler(SonantError, handler(_of_ours))
    app.add_exception_handler(RequestValidationError, handler(lambda error: from_validation(error.errors())))
    app.add_exception_handler(HTTPException, handler(_of_framework))


class ErrorResponse(Response):
    """The response of an error, whose code is stored for log and metrics."""

    media_type = "application/json"

    def __init__(self, error: ApiError) -> None:
        super().__init__(orjson.dumps(error.body), error.status, error.headers)
        self._code = error.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["error_code"] = self._code
        await super().__call__(scope, receive, send)


def answer(error: ApiError) -> Response:
    """Make the response for an error."""
    return ErrorResponse(error)


def from_validation(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """Convert errors of pydantic or FastAPI to an error about the first."""
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ApiError(400, "invalid_value", f"{place or 'the request'}: {first['msg']}{more}.", param=place or None)


def _of_ours(error: SonantError) -> ApiError:
    told = api_error(error)
    if told.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("a request failed", exc_info=error)
    return told


def _of_framework(error: HTTPException) -> ApiError:
    """Convert an error of the framework: an unknown path, or a method not allowed."""
    status = HTTPStatus(error.status_code)
    message = "There is nothing at this address." if status == HTTPStatus.NOT_FOUND else str(error.detail)
    return ApiError(status, status.phrase.lower().replace(" ", "_"), message)
