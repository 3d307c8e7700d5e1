"""Reading arrays, batches and transforms: what feeds a net."""
