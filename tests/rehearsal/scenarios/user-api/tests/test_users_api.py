"""The users API as its callers see it: real HTTP against a server on a free port."""

import json
import threading
import unittest
from http.client import HTTPConnection

from users_api import make_server


class UsersApi(unittest.TestCase):
    def setUp(self):
        self.server = make_server(port=0)
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        # Cleanups run last in, first out: stop serving, wait for the thread, close the socket.
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)

    def call(self, method, path, body=None, raw=None):
        """(status, JSON body or None, headers) of one request."""
        connection = HTTPConnection(*self.server.server_address[:2], timeout=5)
        try:
            data = raw if raw is not None else None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None, response.headers
        finally:
            connection.close()

    def create(self, name="Ada", email="ada@example.com"):
        status, user, _ = self.call("POST", "/users", {"name": name, "email": email})
        self.assertEqual(status, 201)
        return user

    def assert_error(self, answer, status, code):
        self.assertEqual(answer[0], status)
        self.assertEqual(answer[1]["error"]["code"], code)
        self.assertTrue(answer[1]["error"]["message"])

    def test_created_user_can_be_read_at_its_location(self):
        status, user, headers = self.call(
            "POST", "/users", {"name": " Ada ", "email": "ada@example.com"}
        )
        self.assertEqual(status, 201)
        self.assertEqual(user["name"], "Ada")
        self.assertEqual(set(user), {"id", "name", "email", "created_at"})
        self.assertEqual(self.call("GET", headers["Location"])[:2], (200, user))

    def test_list_goes_page_by_page(self):
        users = [self.create(f"User {n}", f"user{n}@example.com") for n in range(3)]
        status, first, _ = self.call("GET", "/users?limit=2")
        self.assertEqual((status, first["users"]), (200, users[:2]))
        _, second, _ = self.call("GET", f"/users?limit=2&after={first['next']}")
        self.assertEqual(second, {"users": users[2:], "next": None})

    def test_empty_list_is_an_empty_list(self):
        self.assertEqual(self.call("GET", "/users")[1], {"users": [], "next": None})

    def test_update_changes_only_what_is_given(self):
        user = self.create()
        status, changed, _ = self.call("PATCH", f"/users/{user['id']}", {"name": "Ada Lovelace"})
        self.assertEqual((status, changed), (200, {**user, "name": "Ada Lovelace"}))
        self.assertEqual(self.call("GET", f"/users/{user['id']}")[1], changed)

    def test_deleted_user_is_gone(self):
        path = f"/users/{self.create()['id']}"
        self.assertEqual(self.call("DELETE", path)[:2], (204, None))
        self.assert_error(self.call("GET", path), 404, "not_found")
        self.assert_error(self.call("DELETE", path), 404, "not_found")
        self.assert_error(self.call("PATCH", path, {"name": "x"}), 404, "not_found")

    def test_email_is_unique_whatever_its_case(self):
        self.create(email="ada@example.com")
        other = self.create("Bob", "bob@example.com")
        again = {"name": "Eve", "email": "ADA@example.com"}
        self.assert_error(self.call("POST", "/users", again), 409, "email_taken")
        answer = self.call("PATCH", f"/users/{other['id']}", {"email": "Ada@Example.com"})
        self.assert_error(answer, 409, "email_taken")

    def test_invalid_fields_are_refused(self):
        good = {"name": "Ada", "email": "ada@example.com"}
        for bad in (
            {"name": "Ada"},
            {**good, "name": "  "},
            {**good, "name": 7},
            {**good, "name": "x" * 201},
            {**good, "email": "no-at-sign"},
            {**good, "admin": True},
            [good],
        ):
            with self.subTest(body=bad):
                self.assert_error(self.call("POST", "/users", bad), 422, "invalid")
        self.assert_error(self.call("PATCH", f"/users/{self.create()['id']}", {}), 422, "invalid")

    def test_bad_page_parameters_are_refused(self):
        for query in ("limit=0", "limit=101", "limit=x", "after=-1"):
            with self.subTest(query=query):
                self.assert_error(self.call("GET", f"/users?{query}"), 422, "invalid")

    def test_body_must_be_json_and_small(self):
        self.assert_error(self.call("POST", "/users", raw="{"), 400, "bad_json")
        self.assert_error(self.call("POST", "/users", raw="x" * 70_000), 413, "too_large")

    def test_unknown_path_and_method_are_told_apart(self):
        self.assert_error(self.call("GET", "/nothing"), 404, "not_found")
        answer = self.call("PUT", "/users/1", {})
        self.assert_error(answer, 405, "method_not_allowed")
        self.assertEqual(answer[2]["Allow"], "GET, PATCH, DELETE")

    def test_parallel_creates_get_different_ids(self):
        ids = []
        threads = [
            threading.Thread(target=lambda n=n: ids.append(self.create(email=f"p{n}@example.com")["id"]))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(ids)), 8)


if __name__ == "__main__":
    unittest.main()
