# s3mount: `make help` lists what can be done.

VERSION := 0.1.0

PREFIX  ?= /usr/local
DESTDIR ?=
CFLAGS  ?= -O2 -g
PYTHON  := build/venv/bin/python3

# SAN=address,undefined or SAN=thread builds into a directory of its own.
comma := ,
SAN   ?=
BUILD ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
BIN   := $(BUILD)/bin
OBJ   := $(BUILD)/obj

PACKAGES := fuse3 libcurl libxml-2.0 openssl sqlite3 libmicrohttpd libcjson
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
ifeq ($(SAN),)
HARDENING := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
HARDENING := -fPIE -fno-omit-frame-pointer -fsanitize=$(SAN)
endif

ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARNINGS) $(HARDENING)
ALL_CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DS3MOUNT_VERSION='"$(VERSION)"' \
	$(PACKAGE_CFLAGS) $(CPPFLAGS)
# --as-needed: each program carries only the libraries of the rooms that it uses.
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
ALL_LIBS := $(PACKAGE_LIBS) -lpthread $(LDLIBS)

# Sources are found, not listed: a new file in a room is part of the build.
MAINS := fs/main.c plugin/main.c
SOURCES := $(sort $(filter-out $(MAINS),$(shell find common fs plugin -name '*.c' 2>/dev/null)))
SERVER_SOURCES := $(sort $(wildcard tests/s3server/*.c))
SIM_SOURCES := $(sort $(wildcard tests/sim/*.c))
TOOL_SOURCES := $(sort $(wildcard tests/lib/*.c))
CONFORMANCE_SOURCES := $(sort $(wildcard tests/conformance/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
ALL_SOURCES := $(SOURCES) $(wildcard $(MAINS)) $(SERVER_SOURCES) $(TOOL_SOURCES) \
	$(UNIT_SOURCES) $(UNIT_HELPERS) $(SIM_SOURCES) $(CONFORMANCE_SOURCES) \
	tests/sim/alloc/alloc.c

objects = $(patsubst %.c,$(OBJ)/%.o,$(1))
LIBRARY := $(BUILD)/libs3mount.a
PROGRAMS := $(if $(wildcard fs/main.c),$(BIN)/s3mount) \
	$(if $(wildcard plugin/main.c),$(BIN)/s3mount-plugin) \
	$(if $(SERVER_SOURCES),$(BIN)/s3server)
TOOLS := $(patsubst tests/lib/%.c,$(BIN)/%,$(TOOL_SOURCES))
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all tools units demo check check-long check-mutants check-unit check-sim check-mount check-programs check-swarm lint format fuzz install bench \
	plugin clean deps help print-version FORCE

## Build the programs into build/bin (SAN=address,undefined or SAN=thread: with sanitizers)
all: $(PROGRAMS)

tools: $(TOOLS) $(BIN)/conformance
units: $(UNITS)

## Mount a bucket of an embedded S3 server and do real work in it (installs what is missing)
demo:
	@tests/demo.sh

## Install what is missing, build, and run all tests
check:
	@tests/check.sh

## Unit tests
check-unit: units
	@tests/lib/run-unit.sh $(UNITS)

## Simulated crashes and failing calls of disk, network and journal (tests/sim)
check-sim: $(BIN)/sim $(BIN)/sim-alloc
	@tests/sim/run.sh $(BIN)/sim

## Bugs that are put in one by one, and which test finds each (MUTANTS='-k WORD')
check-mutants:
	@python3 tests/mutants/run.py $(MUTANTS)

## The same for every pair of operations, every moment, and many more by chance (hours)
check-long: all tools $(BIN)/sim
	@tests/sim/run.sh $(BIN)/sim long
	@tests/check-long.sh

## Real mounts on three S3 servers (PYTEST='-k name', SERVERS=embedded,radosgw,versitygw)
check-mount: all tools
	@tests/lib/install-deps.sh test
	@$(PYTHON) -m pytest tests/mount $(if $(SERVERS),--servers=$(SERVERS)) $(PYTEST)

## Real programs, random operations and large trees on mounts (PYTEST='-k name')
check-programs: all
	@tests/lib/install-deps.sh test
	@$(PYTHON) -m pytest tests/programs --servers=embedded $(PYTEST)

## The plugin in a Swarm of several nodes on this machine (PYTEST='-k name')
check-swarm: all tools
	@tests/lib/install-deps.sh test
	@$(PYTHON) -m pytest tests/swarm $(PYTEST)

## Style, layers, sizes and static analysis of the sources
lint: | $(BUILD)/.packages
	@CPPFLAGS="$(subst ",\",$(ALL_CPPFLAGS))" tests/lint.sh

## Rewrite the C sources in the project's style
format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

## Fuzz the parsers of what comes from outside (SECONDS=60 for each)
fuzz:
	@tests/fuzz/run.sh $(or $(SECONDS),60)

## Install s3mount, its man page and the mount(8) helper (DESTDIR, PREFIX)
install: $(BIN)/s3mount $(BUILD)/s3mount.8
	install -D -m 755 $(BIN)/s3mount $(DESTDIR)$(PREFIX)/bin/s3mount
	install -D -m 644 $(BUILD)/s3mount.8 $(DESTDIR)$(PREFIX)/share/man/man8/s3mount.8
	install -d $(DESTDIR)/sbin
	ln -sfn $(PREFIX)/bin/s3mount $(DESTDIR)/sbin/mount.fuse.s3mount

## s3mount, s3fs, rclone and the local file system side by side (BENCH='--help' for options)
bench:
	@tests/lib/install-deps.sh test
	@$(MAKE) --no-print-directory all tools
	@$(PYTHON) tests/bench/bench.py $(BENCH)

ifneq ($(wildcard docker/plugin.mk),)
include docker/plugin.mk
else
plugin:
	@echo "docker/plugin.mk is missing" >&2; exit 1
endif

## Install what building needs (Debian 12 and 13, as root)
deps:
	@tests/lib/install-deps.sh build

## Remove all that was built
clean:
	rm -rf build

## This list
help:
	@awk '/^## /{text=substr($$0,4)} /^[a-z-]+:/ && text{split($$1,t,":"); \
		printf "  make %-12s %s\n", t[1], text; text=""} /^$$/{text=""}' \
		Makefile $(wildcard docker/plugin.mk)

print-version:
	@echo $(VERSION)

# Says at once what to do when a library is missing, before the compiler does it at length.
$(BUILD)/.packages:
	@mkdir -p $(BUILD)
	@pkg-config --print-errors --exists $(PACKAGES) || \
		{ echo "A library is missing: make deps (as root) installs it." >&2; exit 1; }
	@touch $@

# Changes when the flags do, so that nothing stale is linked.
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) $(ALL_LDFLAGS)
$(BUILD)/.flags: FORCE | $(BUILD)/.packages
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' >$@

$(OBJ)/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) -MMD -MP -c -o $@ $<

# The list of members: an archive must lose what the tree has lost.
$(BUILD)/.members: FORCE
	@mkdir -p $(BUILD)
	@echo '$(SOURCES) $(UNIT_HELPERS)' | cmp -s - $@ || echo '$(SOURCES) $(UNIT_HELPERS)' >$@

$(LIBRARY): $(call objects,$(SOURCES)) $(BUILD)/.members
	@echo "  AR    $@"
	@rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

link = @mkdir -p $(@D) && echo "  LD    $@" && \
	$(CC) $(CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1) $(ALL_LIBS)

$(BIN)/s3mount: $(OBJ)/fs/main.o $(LIBRARY)
	$(call link)

$(BIN)/s3mount-plugin: $(OBJ)/plugin/main.o $(LIBRARY)
	$(call link)

$(BIN)/s3server: $(call objects,$(SERVER_SOURCES)) $(LIBRARY)
	$(call link)

$(TOOLS): $(BIN)/%: $(OBJ)/tests/lib/%.o $(LIBRARY)
	$(call link)

$(BIN)/conformance: $(call objects,$(CONFORMANCE_SOURCES))
	$(call link)

$(BIN)/sim: $(call objects,$(SIM_SOURCES)) $(BUILD)/libunit.a $(LIBRARY)
	$(call link)

# The same with a core whose allocations can be made to fail, in objects of its own. A record for which
# there is no memory ends the journal for good, and what is in S3 then is more than the next mount knows.
CORE_SOURCES := $(filter-out fs/journal/record.c,$(filter fs/vfs/% fs/cache/% fs/upload/% fs/journal/% fs/env.c common/map.c common/buf.c,$(SOURCES)))
ALLOC_OBJECTS := $(patsubst %.c,$(OBJ)/alloc/%.o,$(CORE_SOURCES))

$(OBJ)/alloc/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	@echo "  CC    $< (alloc)"
	@$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) -include tests/sim/alloc.h -MMD -MP -c -o $@ $<

$(BIN)/sim-alloc: $(call objects,$(SIM_SOURCES) tests/sim/alloc/alloc.c) $(ALLOC_OBJECTS) $(BUILD)/libunit.a $(LIBRARY)
	$(call link)

# Each test takes the helpers that it calls.
$(BUILD)/libunit.a: $(call objects,$(UNIT_HELPERS)) $(BUILD)/.members
	@rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

$(UNITS): $(BUILD)/tests/%: $(OBJ)/tests/unit/%.o $(BUILD)/libunit.a $(LIBRARY)
	$(call link,-lcmocka)

$(BUILD)/s3mount.8: $(BIN)/s3mount
	@$< --man >$@

-include $(patsubst %.c,$(OBJ)/%.d,$(ALL_SOURCES)) $(ALLOC_OBJECTS:.o=.d)
