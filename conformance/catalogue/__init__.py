"""Read and check the files of the catalogue: scenarios, layers, CLI states and contracts."""
