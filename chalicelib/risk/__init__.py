"""Halt switches: of everybody, of one user, of one account. A halt holds back what opens or adds.

Closing always works.
"""
