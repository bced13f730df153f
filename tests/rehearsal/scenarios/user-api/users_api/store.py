"""Users in SQLite. Knows nothing of HTTP."""

import sqlite3
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    email      TEXT NOT NULL UNIQUE COLLATE NOCASE,
    created_at TEXT NOT NULL
)
"""


class EmailTaken(Exception):
    """Another user has this e-mail address."""


@dataclass(frozen=True)
class User:
    """One user as stored."""

    id: int
    name: str
    email: str
    created_at: str

    def as_json(self):
        """The user as a JSON-ready dictionary."""
        return asdict(self)


class UserStore:
    """Create, read, update, delete. Safe to use from several threads."""

    def __init__(self, path=":memory:"):
        # One connection behind a lock: an in-memory database lives and dies with its connection.
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        with self._lock, self._db:
            self._db.execute(SCHEMA)

    def close(self):
        """Close the database."""
        with self._lock:
            self._db.close()

    def create(self, name, email):
        """Store a new user; raises EmailTaken."""
        created_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._lock:
            try:
                with self._db:
                    row = self._db.execute(
                        "INSERT INTO users (name, email, created_at) VALUES (?, ?, ?)",
                        (name, email, created_at),
                    )
            except sqlite3.IntegrityError as error:
                raise EmailTaken(email) from error
            return User(row.lastrowid, name, email, created_at)

    def get(self, user_id):
        """The user, or None."""
        with self._lock:
            return self._get(user_id)

    def list(self, limit, after=0):
        """Up to `limit` users with an id greater than `after`, by id."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, name, email, created_at FROM users WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [User(*row) for row in rows]

    def update(self, user_id, changes):
        """Apply `changes` (name, email); the new user, or None. Raises EmailTaken."""
        with self._lock:
            user = self._get(user_id)
            if user is None:
                return None
            merged = User(**{**asdict(user), **changes})
            try:
                with self._db:
                    self._db.execute(
                        "UPDATE users SET name = ?, email = ? WHERE id = ?",
                        (merged.name, merged.email, user_id),
                    )
            except sqlite3.IntegrityError as error:
                raise EmailTaken(merged.email) from error
            return merged

    def delete(self, user_id):
        """Whether there was such a user; there is none now."""
        with self._lock, self._db:
            return self._db.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount == 1

    def _get(self, user_id):
        row = self._db.execute(
            "SELECT id, name, email, created_at FROM users WHERE id = ?", (user_id,)
        ).fetchone()
        return User(*row) if row else None
