"""The OpenAPI document, made from the route tables and each package's `docs.py`."""
