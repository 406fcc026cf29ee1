"""What the Triton kernels take on a GPU: ``python -m benchmarks.resources``."""
