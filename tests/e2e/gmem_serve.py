# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_serve.py: the loop of a program in a sandbox; gmem_rig.Served is its other side."""

import json
import os
import sys
import traceback


def serve(make):
    """Calls methods of the object that make() returns, as lines of JSON say. make() is called when the
    first line arrives."""
    out = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    made = None
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        try:
            if made is None:
                made = make()
            reply = {'result': getattr(made, verb)(*arguments)}
        except Exception:  # pylint: disable=broad-except
            reply = {'trouble': traceback.format_exc()}
        out.write(json.dumps(reply) + '\n')
        out.flush()
