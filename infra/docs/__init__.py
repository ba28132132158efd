"""The documentation site: MkDocs on `docs/` with the hooks beside this file."""
