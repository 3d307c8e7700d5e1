"""Specs: documents, messages, layer types, expansion, schemas."""
