"""How each vendor says no: the headers and the body of an HTTP status.

Belongs here: the refusals at transport level, one function a vendor. Does not belong here: which request is
refused (`faults.py`, `gate.py`), errors inside a vendor's protocol (the vendor's own package).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Headers = list[tuple[str, str]]
Refusal = tuple[Headers, bytes]

_HTML_PAGE = b"""<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloud gateway</center></body></html>
"""
_NETSUITE_TYPE = "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html"
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_NETSUITE_CODES = {
    401: "INVALID_LOGIN",
    403: "INSUFFICIENT_PERMISSION",
    404: "NONEXISTENT_ID",
    429: "CONCURRENCY_LIMIT_EXCEEDED",
}
_AMAZON_CODES = {
    400: "InvalidInput",
    401: "Unauthorized",
    403: "Unauthorized",
    404: "NotFound",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    429: "QuotaExceeded",
    503: "ServiceUnavailable",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_HUBSPOT_CATEGORIES = {
    400: "VALIDATION_ERROR",
    401: "INVALID_AUTHENTICATION",
    403: "MISSING_SCOPES",
    404: "OBJECT_NOT_FOUND",
    429: "RATE_LIMITS",
}
_SLACK_ERRORS = {
    400: "invalid_arguments",
    401: "invalid_auth",
    403: "not_allowed_token_type",
    404: "unknown_method",
    429: "ratelimited",
    500: "internal_error",
    503: "service_unavailable",
    504: "request_timeout",
}
_SHOPIFY_TEXT = {
    401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
    402: "Unavailable Shop",
    403: "[API] This action requires merchant approval.",
    404: "Not Found",
    429: "Exceeded 40 calls per api client. Reduce request rates to resume uninterrupted service.",
    500: "Internal Server Error",
}


def refusal(vendor: str, status: int, options: Mapping[str, Any] | None = None) -> Refusal:
    """The headers and body with which `vendor` answers `status`. `options` are the further keys of the fault."""
    headers: Headers = [("content-type", "application/json; charset=utf-8")]
    body = _BODIES.get(vendor, _plain)(status, options or {}, headers)
    return headers, orjson.dumps(body)


def _plain(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    return {"error": title_of(status)}


def _shopify(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    if status == 429:
        headers.append(("retry-after", str(options.get("retry_after", "2.0"))))
    return {"errors": _SHOPIFY_TEXT.get(status, title_of(status))}


def _netsuite(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    headers[0] = ("content-type", "application/vnd.oracle.resource+json; type=error; charset=UTF-8")
    if options.get("retry_after") is not None:
        # The vendor promises no Retry-After; a test may still ask for one.
        headers.append(("retry-after", str(options["retry_after"])))
    detail = str(options.get("detail") or title_of(status))
    return netsuite_error(status, _NETSUITE_CODES.get(status, "UNEXPECTED_ERROR"), detail)


def _slack(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    if status == 429:
        headers.append(("retry-after", str(options.get("retry_after", 1))))
    return {"ok": False, "error": _SLACK_ERRORS.get(status, "fatal_error")}


def _airtable(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    # No Retry-After: who is told 429 has to know of the thirty seconds.
    if status == 429:
        kind, message = "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later"
        if options.get("monthly"):
            kind, message = "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "Your API billing plan limit has been exceeded."
        return {"errors": [{"error": kind, "message": message}]}
    if status == 404:
        return {"error": "NOT_FOUND"}
    kinds = {401: "AUTHENTICATION_REQUIRED", 403: "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}
    kind = kinds.get(status, "SERVER_ERROR" if status >= 500 else "INVALID_REQUEST_UNKNOWN")
    return {"error": {"type": kind, "message": str(options.get("message") or title_of(status))}}


def _github(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    if status == 429:
        # Without the key: a secondary limit that does not say how long.
        headers.append(("retry-after", str(options.get("retry_after", 1))))
    documentation = "https://docs.github.com/rest"
    return {"message": title_of(status), "documentation_url": documentation, "status": str(status)}


def _amazon(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    # No Retry-After: Amazon gives none with any status.
    headers.append(("x-amzn-requestid", "sandbox-refused"))
    code = _AMAZON_CODES.get(status, "InternalFailure")
    details = str(options.get("details", ""))
    return {"errors": [{"code": code, "message": str(options.get("message") or title_of(status)), "details": details}]}


def _hubspot(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    body = {
        "status": "error",
        "message": str(options.get("message") or title_of(status)),
        "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        "category": _HUBSPOT_CATEGORIES.get(status, "INTERNAL_ERROR"),
    }
    if status == 429:
        # No Retry-After unless a test asks for one: the vendor promises none.
        if options.get("retry_after") is not None:
            headers.append(("retry-after", str(options["retry_after"])))
        policy = str(options.get("policy", "TEN_SECONDLY_ROLLING"))
        body.update(errorType="RATE_LIMIT", policyName=policy, requestId=body["correlationId"])
        body["message"] = f"You have reached your {policy.lower()} limit."
    return body


def _klaviyo(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    headers[0] = ("content-type", "application/vnd.api+json")
    detail = str(options.get("detail") or title_of(status))
    if status == 429:
        # Only a refused call is told how long to wait; and it lacks the RateLimit headers.
        wait = options.get("retry_after", 1)
        headers.append(("retry-after", str(wait)))
        detail = f"Request was throttled. Expected available in {wait} seconds."
    code = {401: "not_authenticated", 403: "permission_denied", 404: "not_found", 410: "gone", 429: "throttled"}
    error = {
        "id": "9c9f8a51-7b1b-4a0c-8a0e-6a3a6f1f7a11",
        "status": status,
        "code": code.get(status, "invalid" if status < 500 else "error"),
        "title": title_of(status),
        "detail": detail,
        "source": {"pointer": "/data/"},
    }
    return {"errors": [error]}


def _anthropic(status: int, options: Mapping[str, Any], headers: Headers) -> Any:
    message = str(options.get("message") or _TITLES.get(status, "Overloaded"))
    error: dict[str, Any] = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
    if options.get("error_code"):
        error["details"] = {"error_code": options["error_code"]}
    headers.append(("request-id", "req_sandbox_refused"))
    if status == 429:
        headers.append(("retry-after", str(options.get("retry_after", 1))))
    if "should_retry" in options:
        headers.append(("x-should-retry", "true" if options["should_retry"] else "false"))
    return {"type": "error", "error": error, "request_id": "req_sandbox_refused"}


# A vendor without an entry answers plainly. The function may change or add to the headers.
_BODIES: dict[str, Callable[[int, Mapping[str, Any], Headers], Any]] = {
    "shopify": _shopify,
    "netsuite": _netsuite,
    "klaviyo": _klaviyo,
    "slack": _slack,
    "hubspot": _hubspot,
    "airtable": _airtable,
    "github": _github,
    "amazon": _amazon,
    "anthropic": _anthropic,
}


def title_of(status: int) -> str:
    """The status in words."""
    return _TITLES.get(status, "Error")


def netsuite_error(status: int, code: str, detail: str, **where: str) -> dict[str, Any]:
    """A NetSuite error body. `where` are the further `o:error…` keys, named without their prefix."""
    extra = {f"o:error{key}": value for key, value in where.items()}
    return {
        "type": _NETSUITE_TYPE,
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "o:errorDetails": [{"detail": detail, **extra, "o:errorCode": code}],
    }


def html_page() -> tuple[Headers, bytes]:
    """A gateway's HTML error page."""
    return [("content-type", "text/html")], _HTML_PAGE
