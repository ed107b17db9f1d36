"""``slicer.parameterNodeWrapper`` of the host: typed parameters kept in a scripted module node, tied to widgets."""
