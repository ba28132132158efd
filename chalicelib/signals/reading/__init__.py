"""Reads a body: finds each field, reads its value, and says what the sender meant, or refuses."""
