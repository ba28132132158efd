"""Risk: halts and risk rules. A halt blocks orders that open or add.

Closing always works.
"""
