"""One run: a request, and all that is made for it."""
