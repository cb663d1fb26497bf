"""HEMlets: part-centric heatmap triplets for 3D human pose."""
