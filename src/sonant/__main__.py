"""`python -m sonant` is the command `sonant`."""

import sys

from sonant.cli import main

sys.exit(main())
