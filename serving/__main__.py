"""`python -m serving`."""

from serving.run import main

main()
