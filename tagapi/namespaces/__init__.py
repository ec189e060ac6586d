"""The HTTP fronts: one module for each API document, on a shared base."""
