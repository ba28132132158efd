"""The deployment zip and the route document: `python -m infra.build [--target lambda]`.

The dependencies form a layer, cached in `build/.cache`. Our own code, as Chalice packs it, is added to the
layer. All modules carry bytecode that Python trusts without checking the source's date, because the dates in
the zip are fixed.
"""
