"""The nouns of the suite as frozen values: contracts, scenarios, outcomes and findings.

Nothing here reads or writes a file. All types are :class:`msgspec.Struct`, so they turn into JSON
and travel between processes without further code.
"""
