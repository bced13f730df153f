"""The HTTP side: routes, validation, errors."""

import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .store import EmailTaken, UserStore

MAX_BODY = 64 * 1024
# What is read and thrown away of a body that is too large, so that the client gets the answer and not a reset.
MAX_DISCARD = 1024 * 1024
MAX_PAGE = 100
MAX_TEXT = 200
# One SQLite integer; a longer number cannot be an id.
USER_PATH = re.compile(r"/users/([0-9]{1,18})")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status, code, message, headers=()):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}
        self.headers = dict(headers)


def not_found():
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", "there is no such user")


def invalid(message):
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", message)


def check_fields(data, required):
    """The valid fields of a request body; raises ApiError for anything else."""
    if not isinstance(data, dict):
        raise invalid("the body must be an object")
    unknown = sorted(set(data) - {"name", "email"})
    if unknown:
        raise invalid("unknown field: " + ", ".join(unknown))
    missing = sorted(set(required) - set(data))
    if missing:
        raise invalid("missing field: " + ", ".join(missing))
    if not data:
        raise invalid("nothing to change: give name or email")
    fields = {}
    for key, value in data.items():
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
            raise invalid(f"{key} must be a text of 1 to {MAX_TEXT} characters")
        fields[key] = value.strip()
    if "email" in fields and not EMAIL.fullmatch(fields["email"]):
        raise invalid("email must look like name@example.com")
    return fields


class Handler(BaseHTTPRequestHandler):
    """One request. The store comes from the server."""

    protocol_version = "HTTP/1.1"
    server_version = "users-api"

    def do_GET(self):
        self.answer()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def answer(self):
        """Route the request and write the answer, whatever happens."""
        try:
            self.body = self.read_body()
            status, body, headers = self.route()
        except ApiError as error:
            status, body, headers = error.status, error.body, error.headers
        except EmailTaken as error:
            status, headers = HTTPStatus.CONFLICT, {}
            body = {"error": {"code": "email_taken", "message": f"{error} is already in use"}}
        payload = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if payload:
            self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def route(self):
        """The answer as (status, JSON body, extra headers)."""
        url = urlsplit(self.path)
        if url.path == "/users":
            methods = {"GET": self.list_users, "POST": self.create_user}
            argument = url.query
        elif match := USER_PATH.fullmatch(url.path):
            methods = {"GET": self.get_user, "PATCH": self.update_user, "DELETE": self.delete_user}
            argument = int(match[1])
        else:
            raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "there is nothing at this path")
        if self.command not in methods:
            allow = ", ".join(methods)
            message = f"use one of: {allow}"
            raise ApiError(
                HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, {"Allow": allow}
            )
        return methods[self.command](argument)

    def list_users(self, query):
        values = parse_qs(query)
        limit = self.number(values, "limit", 20, 1, MAX_PAGE)
        after = self.number(values, "after", 0, 0, 10**18)
        users = self.server.store.list(limit + 1, after)
        page = users[:limit]
        following = page[-1].id if len(users) > limit else None
        return HTTPStatus.OK, {"users": [u.as_json() for u in page], "next": following}, {}

    def create_user(self, _query):
        user = self.server.store.create(**check_fields(self.read_json(), ["name", "email"]))
        return HTTPStatus.CREATED, user.as_json(), {"Location": f"/users/{user.id}"}

    def get_user(self, user_id):
        user = self.server.store.get(user_id)
        if user is None:
            raise not_found()
        return HTTPStatus.OK, user.as_json(), {}

    def update_user(self, user_id):
        user = self.server.store.update(user_id, check_fields(self.read_json(), []))
        if user is None:
            raise not_found()
        return HTTPStatus.OK, user.as_json(), {}

    def delete_user(self, user_id):
        if not self.server.store.delete(user_id):
            raise not_found()
        return HTTPStatus.NO_CONTENT, None, {}

    def read_body(self):
        """The request body; raises ApiError when it is too large or of unknown length."""
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise ApiError(HTTPStatus.LENGTH_REQUIRED, "length_required", "send Content-Length")
        text = self.headers.get("Content-Length", "0")
        length = int(text) if text.isdigit() else 0
        if length > MAX_BODY:
            self.close_connection = True
            self.rfile.read(min(length, MAX_DISCARD))
            message = f"a body has at most {MAX_BODY} bytes"
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
        return self.rfile.read(length)

    def read_json(self):
        """The request body as JSON; raises ApiError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad_json", f"the body is no JSON: {error}")

    @staticmethod
    def number(values, name, default, least, most):
        text = values.get(name, [str(default)])[-1]
        if not text.isdigit() or not least <= int(text) <= most:
            raise invalid(f"{name} must be a number from {least} to {most}")
        return int(text)

    def log_message(self, format, *args):
        if self.server.verbose:
            super().log_message(format, *args)


class ApiServer(ThreadingHTTPServer):
    """The server and the store it serves."""

    daemon_threads = True

    def __init__(self, address, store, verbose):
        self.store = store
        self.verbose = verbose
        super().__init__(address, Handler)

    def server_close(self):
        super().server_close()
        self.store.close()


def make_server(host="127.0.0.1", port=8000, database=":memory:", verbose=False):
    """A server that is bound but does not serve yet; port 0 takes a free one."""
    return ApiServer((host, port), UserStore(database), verbose)
