"""Graph to facts and graph to graph: shapes, dtypes, gradients, memory."""
