"""The deployment zip and the route document: `python -m infra.build [--target lambda]`.

The dependencies are a layer of their own, kept in `build/.cache`; our own code, as Chalice packs it, is laid
on top. Everything carries bytecode that Python trusts without looking at the source's date, since the dates
in the zip are fixed.
"""
