"""The OpenAPI document, made from the route tables and what `docs.py` beside them says."""
