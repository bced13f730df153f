"""Tests of the users API: python3 -m unittest."""
