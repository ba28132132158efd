"""Checks of names and prose that no other linter has."""
