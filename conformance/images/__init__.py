"""Our own images, and the released CLIs that go into them."""
