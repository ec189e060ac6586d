"""The REST of advertising platforms: clients that say exactly what became of a request, and a simulator beside them."""
