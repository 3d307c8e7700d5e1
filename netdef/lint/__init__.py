"""Everything that can be said about spec files without running them."""
