"""A stand-in for the 3D Slicer application: module panels run, are clicked and photographed offscreen without Slicer."""
