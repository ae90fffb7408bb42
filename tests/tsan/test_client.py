#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads that use one embedded driver at once, under ThreadSanitizer: GMEM_BUILD is a tree that is built
with it.

QEMU does not run under it, so the shim comes from GMEM_PLAIN, a tree that is built without it."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../e2e'))

# pylint: disable=wrong-import-position
import gmem_rig  # noqa: E402
from gmem_rig import BUILD, KIB, EmbedRig, Suite, domain, need_guest_memfd, need_root  # noqa: E402

suite = Suite()

CLIENT = os.path.join(BUILD, 'tests/tsan/tsan-client')
THREADS = 4
ROUNDS = 3


@suite.test('threads that define, show, translate, start and remove domains do not race')
def _(check):
    need_guest_memfd()
    gmem_rig.SHIM = os.path.join(os.environ['GMEM_PLAIN'], 'src/shim/qemu-gmem.so')
    with EmbedRig(lambda rig: (rig.tree(),)) as rig:
        for number in range(THREADS):
            rig.write('/run/domains/%d.xml' % number, domain('vm-%d' % number, cells=[17 * KIB, 19 * KIB]))
        shutil.copyfile(CLIENT, rig.outer('/run/client'))
        os.chmod(rig.outer('/run/client'), 0o755)
        done = rig.run(['/run/client', rig.uri, str(ROUNDS), '/run/domains'],
                       env=rig.environment(rig.preload, TSAN_OPTIONS=os.environ['TSAN_OPTIONS'],
                                           G_SLICE='always-malloc'))
        for line in (done.stdout + done.stderr).splitlines()[:400]:
            print('# ' + line)
        check.lacks(done.stderr, 'WARNING: ThreadSanitizer', 'what the client said')
        check.equal(done.stdout, '0 calls failed\n', 'what failed')
        check.equal(done.returncode, 0, 'status')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
