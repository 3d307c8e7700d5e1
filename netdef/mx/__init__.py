"""MXNet's Symbol, NDArray and Executor names over netdef's engine."""
