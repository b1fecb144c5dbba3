"""The deliver process alone, as its parent starts it: delivering.py ROOT CONFIGURATION QUEUE WAKE NEWS PULSE [agent].

The last but one arguments are descriptors that it inherits.
"""

import os
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True

from pysendmail import errors  # noqa: E402
from pysendmail.config import reader  # noqa: E402
from pysendmail.daemon import deliver  # noqa: E402
from pysendmail.daemon.setup import Setup  # noqa: E402

config, queue = sys.argv[2:4]
setup = Setup(config, reader.load(config, uid=os.getuid(), home=""), queue)
setup.wake, setup.news, setup.pulse = map(int, sys.argv[4:7])
setup.agent = sys.argv[7:] == ["agent"]
try:
    os._exit(deliver.run(setup))
except errors.Failure as failure:
    os.write(2, f"{failure}\n".encode())
    os._exit(failure.exit_code)
