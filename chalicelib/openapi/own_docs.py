"""Routes outside the feature packages: the dashboard's files, the API reference, health, this document."""

from chalicelib.openapi.docs import Docs
from chalicelib.openapi.schemas import OBJECT, TEXT, obj, one_of

_PAGE = Docs(TEXT, "<!doctype html>", security="none", content_type="text/html")
_ROOT = Docs(TEXT, "", 307, security="none", content_type="text/html")
_FILE = Docs(TEXT, "export {};", security="none", content_type="text/javascript")

DOCS = {
    "GET /": _ROOT,
    "GET /docs": _PAGE,
    "GET /dashboard": _PAGE,
    "GET /dashboard/{file}": _FILE,
    "GET /dashboard/{file}/{name}": _FILE,
    "GET /health": Docs(obj(status=one_of("ok")), {"status": "ok"}, security="none"),
    "GET /openapi.json": Docs(OBJECT, {"openapi": "3.1.0"}, security="none"),
}
