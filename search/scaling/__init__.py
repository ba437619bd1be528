"""What accuracy costs: the cheapest measured point for a requirement, and a power law for what was not measured."""
