"""A small REST API for user management, built on the Python standard library only."""

from .server import make_server
from .store import EmailTaken, User, UserStore

__all__ = ["EmailTaken", "User", "UserStore", "make_server"]
