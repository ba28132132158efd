"""The build refuses what API Gateway refuses at import, and accepts the product's own routes."""

import pytest

from infra.build import import_rules, routes
from infra.build.zipping import BuildError


def _document(*paths, **item):
    return {"paths": {path: {"get": {}, **item} for path in paths}}


def test_our_routes_can_be_imported():
    """The route document that is deployed has nothing that API Gateway refuses."""
    document = routes.document()
    assert len(document["paths"]) > 50
    assert import_rules.problems(document) == []


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["/a/{one}", "/a/{two}/b"], "/a: one variable per level, not {one}, {two}"),
        (["/{one}", "/{rest+}"], "/: one variable per level"),
        (["/a/{one}/{two}", "/a/{one}/{three}/c"], "/a/{one}: one variable per level"),
        (["/a/{rest+}/b"], "takes the rest of the path"),
        (["/a/{one}/{one}"], "occurs twice"),
        (["/a b"], "'a b' has characters"),
        (["/a/prefix{one}"], "'prefix{one}' has characters"),
        (["/a/~b"], "'~b' has characters"),
        (["/a/"], "no part of it is empty"),
        (["/a//b"], "no part of it is empty"),
        (["a"], "begins with a slash"),
        ([f"/r{number}" for number in range(300)], "301 resources, of 300"),
        ([f"/r{number}/x" for number in range(150)], "301 resources, of 300"),
    ],
)
def test_paths(paths, said):
    """Siblings, characters and counts, each with the place."""
    assert said in "\n".join(import_rules.problems(_document(*paths)))


def test_what_is_allowed():
    """A variable beside fixed parts, the same variable in several paths, and a greedy one at the end."""
    assert (
        import_rules.problems(
            _document("/a/{one}", "/a/fixed", "/a/{one}/b", "/b/{rest+}", "/", "/openapi.json", "/v1:do")
        )
        == []
    )
    assert import_rules.problems(_document(*(f"/r{number}" for number in range(299)))) == []


def test_methods():
    """An unknown method, and a parameter that the path does not have."""
    assert "trace /a" in import_rules.problems(_document("/a", trace={}))[0]
    declared = {"parameters": [{"name": "two", "in": "path"}, {"name": "q", "in": "query"}]}
    assert import_rules.problems(_document("/a/{one}", post=declared)) == [
        "post /a/{one}: declares two, which the path does not have"
    ]


def test_size():
    """An import holds 6 MB."""
    assert "6291456" in import_rules.problems(_document("/a", post={"description": "x" * 6_300_000}))[0]


def test_build_stops(monkeypatch):
    """The build names the fault. A deployment would fail halfway."""
    monkeypatch.setattr(import_rules, "problems", lambda document: [f"{len(document['paths']) > 0}: wrong"])
    with pytest.raises(BuildError, match="True: wrong"):
        routes.document()
