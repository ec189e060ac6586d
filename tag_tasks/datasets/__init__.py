"""Business data: exports, cleanup, analysis and reports over four tables."""
