# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands in README, which call meson; see meson_options.txt for everything else.
#
#   sudo make demo     install what is missing, build, run a domain and show its memory
#   sudo make check    install what the tests require, build, run every test: here, and in chroots of
#                      Debian 13 and unstable; with MATRIX= not in any chroot
#   sudo make check-matrix    run demo and check in chroots of Debian 12, 13 and unstable
#   sudo make demo-protected    show that a guest in a software-protected VM keeps secrets, on any machine
#   sudo make lab      give a prompt on a machine that has software-protected VMs; RUN="COMMAND" runs a
#                      command there, DOMAIN=FILE.xml a domain; changes are kept in SHARE=DIR; LAB_ARGS are
#                      other options of tools/lab.py
#   sudo make check-clients   test Nova, virt-install and virt-manager of Debian 12, 13 and unstable, in chroots
#   make docs          build the documentation as HTML, in build/docs/html
#   sudo make check-nested    test what requires another kernel, on an emulated machine that has it; with
#                      QUICK=1 only KVM by itself, convertible guests and one Linux
#   sudo make install    build, and install below PREFIX; `make uninstall` removes it
#   sudo make deb      build Debian packages in BUILD/deb/RELEASE, in a clean chroot of this machine's
#                      release, or of those in DEB="bookworm trixie sid"
#   sudo make check-package    test the package on an emulated machine with systemd and AppArmor
#   sudo make soak SECONDS=600  run two hundred clients for that long, and a stock daemon for comparison
#   make mutants       put faults into the sources, one at a time, and see whether the tests notice them
#   sudo make faults   kill the daemon at each step of each call, not at two (as `make check` on Debian 12)
#   sudo make valgrind    run libvirtd under memcheck, through the life of a private domain
#   sudo make tsan     run what has threads under ThreadSanitizer
#   make fuzz SECONDS=3600    run every fuzzer for that long (15 s each in `make check` on Debian 12)
#   sudo make coverage    run every test in a tree that counts lines, and list the lines of src that did not
#                      run; at least COVERAGE_MINIMUM percent have to
#   make analyze       run gcc's analyzer, clang-tidy and cppcheck over src and tools; they must find nothing
#
# BUILD is the build tree. SETUP_ARGS are passed to `meson setup` when it is created, and MATRIX_ARGS to
# tests/matrix/run-matrix: releases and options. MATRIX are the releases that `make check` adds. DESTDIR is
# prepended to the paths of what is installed.

BUILD ?= build
PREFIX ?= /usr/local
MATRIX ?= trixie sid
SETUP_ARGS ?= -Dwerror=true
PYTHON = /usr/bin/python3
SANITIZED = $(BUILD)-sanitizers
FUZZ = $(BUILD)-fuzz
TSAN = $(BUILD)-tsan
COVERAGE = $(BUILD)-coverage
COVERAGE_MINIMUM = 90
SECONDS ?= 15

# Tools that look for mistakes by themselves only run on Debian 12: the code is the same on all releases,
# but each release's tools find something else.
PROOF ?= $(shell grep -s '^VERSION_ID="12"' /etc/os-release)

.PHONY: all demo demo-protected lab check check-matrix check-clients clients-here check-nested bench fuzzers fuzz \
    mutants soak faults valgrind tsan coverage analyze deps-build deps-demo deps-check deps-matrix deps-nested deps-lab deps-analyze \
    deps-docs docs install uninstall deb check-package clean

all: $(BUILD)/build.ninja
	meson compile -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(SETUP_ARGS)

# Debian's packages. Nothing is asked, and nothing happens if all are installed already.
deps-build:
	@./tools/install-deps build

deps-demo:
	@./tools/install-deps build demo

# With chroots, the tests here also use libvirt's large clients, which are not installed in the chroots.
deps-check:
	@./tools/install-deps build demo check docs deb $(if $(strip $(MATRIX)),clients matrix)

demo: deps-demo
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/demo.py $(BUILD)

# The second tree has the unit tests again, with AddressSanitizer and UndefinedBehaviorSanitizer. The third
# one, built by clang, has the fuzzers.
check: deps-check
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory all BUILD=$(SANITIZED) \
	    SETUP_ARGS="$(SETUP_ARGS) -Db_sanitize=address,undefined -Db_lundef=false"
	@$(if $(PROOF),$(MAKE) --no-print-directory fuzzers)
	@$(PYTHON) tests/run-tests.py $(BUILD) $(SANITIZED):unit $(if $(PROOF),$(FUZZ):fuzz) \
	    --matrix $(BUILD)/matrix $(strip $(MATRIX))

fuzzers:
	@CC=clang $(MAKE) --no-print-directory $(FUZZ)/build.ninja BUILD=$(FUZZ) \
	    SETUP_ARGS="$(SETUP_ARGS) -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false"
	@meson compile -C $(FUZZ) fuzzers

fuzz: deps-check fuzzers
	@GMEM_FUZZ_SECONDS=$(SECONDS) $(PYTHON) tests/run-tests.py $(FUZZ):fuzz

# MUTANTS selects sources or tests, as in MUTANTS="shim- gmemxml". Running all of them takes a while.
mutants: deps-check
	@$(PYTHON) tests/mutants/run-mutants.py --build $(BUILD)-mutants $(MUTANTS)

# What a test program needs without meson, which keeps to itself what a test prints.
HERE = GMEM_BUILD=$(abspath $(BUILD)) GMEM_SOURCE=$(CURDIR)

soak: deps-check
	@$(MAKE) --no-print-directory all
	@$(HERE) GMEM_SOAK_SECONDS=$(if $(filter file,$(origin SECONDS)),600,$(SECONDS)) $(PYTHON) -B tests/e2e/test_soak.py

faults: deps-check
	@$(MAKE) --no-print-directory all
	@$(HERE) GMEM_FAULT_STEPS=all $(PYTHON) -B tests/e2e/test_faults.py

# The daemon answers slowly under valgrind, hence the patience.
valgrind: deps-check
	@$(MAKE) --no-print-directory all
	@$(HERE) GMEM_PATIENCE=600 $(PYTHON) -B tests/valgrind/test_daemon.py

# GLib and libvirt are not instrumented, so what they do is ignored. ThreadSanitizer only sees memory change
# hands between threads if GLib uses malloc. A child after a fork ends without its parent's threads, which
# are therefore not reported as leaks.
tsan: deps-check
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory $(TSAN)/build.ninja BUILD=$(TSAN) \
	    SETUP_ARGS="$(SETUP_ARGS) -Db_sanitize=thread -Db_lundef=false"
	@GMEM_PLAIN=$(abspath $(BUILD)) G_SLICE=always-malloc \
	    TSAN_OPTIONS="ignore_noninstrumented_modules=1 report_thread_leaks=0" \
	    meson test -C $(TSAN) --print-errorlogs --num-processes 1 --timeout-multiplier 10 \
	    tsan-client qemu_capscache shim-convertible shim-shared

# All suites on this machine except the fuzzers, and those of check-nested that run our code, if a kernel was built
# for them. Without optimization, the counted lines are those of the source; it also takes longer.
coverage:
	@./tools/install-deps build demo check docs deb clients
	@$(MAKE) --no-print-directory all BUILD=$(COVERAGE) \
	    SETUP_ARGS="$(SETUP_ARGS) -Db_coverage=true -Dbuildtype=debug"
	@$(PYTHON) tests/coverage/coverage.py prepare $(COVERAGE)
	@GMEM_PATIENCE=600 $(PYTHON) tests/run-tests.py $(COVERAGE); tests=$$?; \
	    $(PYTHON) tests/nested/run-nested.py --counts --cache $(NESTED_CACHE) $(COVERAGE) || tests=$$?; \
	    $(PYTHON) tests/coverage/coverage.py report --minimum=$(COVERAGE_MINIMUM) $(COVERAGE) && exit $$tests

deps-analyze:
	@./tools/install-deps build analyze

analyze: deps-analyze
	@$(MAKE) --no-print-directory $(BUILD)-analyze/build.ninja BUILD=$(BUILD)-analyze SETUP_ARGS=-Dtests=false
	@meson compile -C $(BUILD)-analyze gmemschemadata.h
	@$(PYTHON) tests/analyze/analyze.py $(BUILD)-analyze

deps-matrix:
	@./tools/install-deps matrix

check-matrix: deps-matrix
	@tests/matrix/run-matrix --cache $(BUILD)/matrix $(MATRIX_ARGS)

# Only tests of clients: those of other releases, and those that are too large for `make check`. CLIENTS are
# the releases. Each of them then runs the target clients-here, in a tree of its own.
CLIENTS ?= bookworm trixie sid

check-clients: deps-matrix
	@tests/matrix/run-matrix --cache $(BUILD)/matrix --clients $(CLIENTS)

clients-here:
	@./tools/install-deps build demo check clients desktop
	@$(MAKE) --no-print-directory all BUILD=$(BUILD)-clients SETUP_ARGS="$(SETUP_ARGS) -Dclients=true"
	@$(PYTHON) tests/run-tests.py $(BUILD)-clients:clients

# A kernel is built once, in some minutes, and kept in NESTED_CACHE; --renew in NESTED_ARGS looks for newer
# sources. If NESTED_ARGS has the name of a machine, only that machine is run. NESTED_LINUX selects the
# kernels, as in NESTED_LINUX="6.12 7.2 7.3"; the default is unstable's newest. NESTED_MATRIX are releases
# whose QEMU and libvirt then run convertible guests and Linux guests, too. QUICK=1 runs a part of the tests.
NESTED_CACHE ?= $(BUILD)/nested

deps-nested:
	@./tools/install-deps build demo check nested $(if $(strip $(NESTED_MATRIX)),matrix)

check-nested: deps-nested
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/nested/run-nested.py --cache $(NESTED_CACHE) \
	    $(foreach linux,$(NESTED_LINUX),--linux $(linux)) $(if $(QUICK),--quick) $(BUILD) $(NESTED_ARGS)
ifneq ($(strip $(NESTED_MATRIX)),)
	@tests/matrix/run-matrix --cache $(BUILD)/matrix --nested $(NESTED_CACHE) $(NESTED_MATRIX)
endif

# If KVM of this machine has the VM type, that is used, otherwise an emulated machine.
deps-lab:
	@./tools/install-deps build demo nested lab

# lab.py exits with status 125 if it fails itself; make turns each status except 0 into 2.
LAB = $(PYTHON) tools/lab.py --cache $(NESTED_CACHE) $(LAB_ARGS)
lab: deps-lab
	@$(MAKE) --no-print-directory all
	@$(LAB) $(if $(SHARE),--share '$(SHARE)') $(if $(DOMAIN),--domain '$(DOMAIN)') \
	    $(if $(value RUN),--run "$$LAB_RUN") $(BUILD)

# The command as it was typed, including dollar signs.
lab: export LAB_RUN = $(value RUN)

demo-protected: deps-lab
	@$(MAKE) --no-print-directory all
	@$(LAB) --bare --run '$(PYTHON) tools/demo-protected.py $(BUILD)' $(BUILD)

deps-docs:
	@./tools/install-deps build docs

# Builds docs/ as HTML in BUILD/docs/html.
docs: deps-docs $(BUILD)/build.ninja
	sphinx-build -E -W --keep-going -n -q -b html docs $(BUILD)/docs/html

# In a tree of its own, because the paths of installed files are compiled in.
INSTALLED = $(BUILD)-install

install: deps-build
	meson setup $(if $(wildcard $(INSTALLED)/build.ninja),--reconfigure) $(INSTALLED) \
	    --prefix=$(PREFIX) -Dtests=false $(SETUP_ARGS)
	meson compile -C $(INSTALLED)
	meson install -C $(INSTALLED) --no-rebuild
	$(if $(DESTDIR),,sh $(INSTALLED)/data/setup configure)

# /etc/libvirt/gmem.conf stays, because the administrator may have changed it.
uninstall:
	$(if $(DESTDIR),,sh $(INSTALLED)/data/setup remove)
	ninja -C $(INSTALLED) uninstall
	$(if $(DESTDIR),,sh $(INSTALLED)/data/setup removed)

# In a clean chroot of each release; tools/build-deb builds without one.
DEB ?= $(shell . /etc/os-release && echo $$VERSION_CODENAME)

deb: deps-matrix
	@tests/matrix/run-matrix --cache $(BUILD)/matrix --deb $(abspath $(BUILD)/deb) $(DEB)

# On an emulated machine with systemd and AppArmor; this takes some minutes.
check-package: deb
	@tests/package/run-machine --cache $(BUILD)/machine --release $(firstword $(DEB)) \
	    $(BUILD)/deb/$(firstword $(DEB))

# See docs/benchmarks.rst. BENCH are pieces and options of tests/bench/bench.py.
bench: deps-check
	@$(MAKE) --no-print-directory all
	@GMEM_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)

clean:
	rm -rf $(BUILD) $(BUILD)-clients $(SANITIZED) $(FUZZ) $(TSAN) $(COVERAGE) $(BUILD)-analyze $(INSTALLED) \
	    $(BUILD)-mutants
