"""Network of a model: sizes from options, modules from a spec, weights as safetensors."""
