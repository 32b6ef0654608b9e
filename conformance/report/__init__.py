"""What a run says: to a terminal, and to machines."""
