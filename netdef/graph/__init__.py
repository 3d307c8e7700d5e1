"""Nodes, symbols, names, composition; layers into a symbol."""
