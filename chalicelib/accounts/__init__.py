"""Manages paper, demo and live accounts. `model.py` defines an account."""
