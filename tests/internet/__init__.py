"""A small internet on loopback addresses, of which every packet is known: names, and sites with all their habits."""
