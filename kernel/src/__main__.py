"""Starts a kernel: `python -I -X utf8 <the folder of this file>`, the boot document on fd 3."""

from ergane_kernel.app import main

main()
