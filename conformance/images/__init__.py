"""Images of our own, and the released CLIs that go into them."""
